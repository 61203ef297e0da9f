//! A distinguished name as one line of printable ASCII (RFC 4514), fit for logs and header fields whatever the
//! certificate says: separators inside values are escaped, so that a value cannot pass for another attribute.

use x509_parser::asn1_rs::ToDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The name, most specific part first: `CN=web,O=Acme,C=US`.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let value = match (short_name(&oid), attribute.as_str()) {
        (Some(_), Ok(value)) => escape(value),
        _ => {
            let encoded = attribute.attr_value().to_der_vec().unwrap_or_default();
            encoded.iter().fold(String::from("#"), |text, byte| text + &format!("{byte:02x}"))
        }
    };
    format!("{}={value}", short_name(&oid).unwrap_or(&oid))
}

/// The attribute types of RFC 4514 section 3; others are written as object identifier and encoded value.
fn short_name(oid: &str) -> Option<&'static str> {
    match oid {
        "2.5.4.3" => Some("CN"),
        "2.5.4.7" => Some("L"),
        "2.5.4.8" => Some("ST"),
        "2.5.4.10" => Some("O"),
        "2.5.4.11" => Some("OU"),
        "2.5.4.6" => Some("C"),
        "2.5.4.9" => Some("STREET"),
        "0.9.2342.19200300.100.1.25" => Some("DC"),
        "0.9.2342.19200300.100.1.1" => Some("UID"),
        _ => None,
    }
}

/// RFC 4514 section 2.4, and beyond it everything that is not printable ASCII as `\xx` per byte of UTF-8.
fn escape(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (index, byte) in value.bytes().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b'=' => text.extend(['\\', char::from(byte)]),
            b'#' if index == 0 => text.push_str("\\#"),
            b' ' if index == 0 || index == last => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, X509Certificate};

    fn named(attributes: &[(rcgen::DnType, &str)]) -> String {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in attributes {
            parameters.distinguished_name.push(kind.clone(), *value);
        }
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let (_, parsed) = X509Certificate::from_der(certificate.der()).expect("a parsed certificate");
        distinguished_name(parsed.subject())
    }

    #[test]
    fn parts_come_most_specific_first() {
        use rcgen::DnType::{CommonName, CountryName, OrganizationName};
        let name = named(&[(CountryName, "US"), (OrganizationName, "Acme"), (CommonName, "web")]);
        assert_eq!(name, "CN=web,O=Acme,C=US");
    }

    #[test]
    fn no_value_passes_for_another_attribute_or_header() {
        let cases = [
            ("a,O=Evil", r"CN=a\,O\=Evil"),
            ("a\r\nX-Admin: 1", r"CN=a\0d\0aX-Admin: 1"),
            (" #x ", r"CN=\ #x\ "),
            ("#x", r"CN=\#x"),
            ("käse", r"CN=k\c3\a4se"),
            (r#"\"+<>;"#, r#"CN=\\\"\+\<\>\;"#),
        ];
        for (value, expected) in cases {
            assert_eq!(named(&[(rcgen::DnType::CommonName, value)]), expected);
        }
    }

    #[test]
    fn an_unknown_attribute_is_written_as_its_identifier_and_encoding() {
        let name = named(&[(rcgen::DnType::CustomDnType(vec![1, 2, 3, 4]), "x")]);
        assert_eq!(name, "1.2.3.4=#0c0178");
    }
}
