//! A closed set of words: an enum whose variants are spelled one way in files, logs and the API.

use super::Invalid;

/// An enum of fixed words. Reading ignores letter case, as ELB does; writing always gives the one spelling.
pub trait Keyword: Copy + Eq + 'static {
    /// Every word, in the order in which help and error messages list them.
    const ALL: &'static [Self];

    /// The one spelling.
    fn as_str(self) -> &'static str;

    /// The word for `text` in any letter case; `None` when there is no such word.
    fn from_word(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.as_str().eq_ignore_ascii_case(text))
    }

    /// All words as `"a", "b" or "c"`, for messages.
    fn expected() -> String {
        let words: Vec<String> = Self::ALL.iter().map(|word| format!("\"{}\"", word.as_str())).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }
}

/// What [`std::str::FromStr`] of every keyword does.
pub(super) fn parse<K: Keyword>(text: &str) -> Result<K, Invalid> {
    K::from_word(text).ok_or_else(|| Invalid::new(format!("expected {}", K::expected())))
}

/// Declares an enum together with its words.
macro_rules! keyword {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$variant_meta])* $variant, )+ }

        impl $crate::model::Keyword for $name {
            const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str($crate::model::Keyword::as_str(*self))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::Invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::model::keyword::parse(text)
            }
        }
    };
}

pub(super) use keyword;
