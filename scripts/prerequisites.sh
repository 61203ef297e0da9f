# Sourced by the scripts beside it: finds or installs what they need, and says each step.
# For Debian 12 and later; elsewhere it names what is missing and stops.

# Debian keeps nginx in /usr/sbin, rustup puts cargo under the home directory.
export PATH="$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"

step() { printf '\n== %s\n' "$*"; }

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "not root and no sudo to run: $*"
  fi
}

# need_packages PACKAGE... installs those of the Debian packages that are missing.
need_packages() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || fail "install what gives you: ${missing[*]} (Debian's names)"
  step "installing ${missing[*]}"
  # Servers are wanted as programs: Debian must not start them as services.
  local policy=/usr/sbin/policy-rc.d ours=no
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    ours=yes
  fi
  local result=0
  { as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"; } || result=$?
  [ "$ours" = no ] || as_root rm -f "$policy"
  [ "$result" -eq 0 ] || fail "apt-get could not install: ${missing[*]}"
}

# need_rust: a toolchain as new as Cargo.toml asks for, with rustfmt and clippy.
need_rust() {
  need_packages build-essential ca-certificates curl
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  have=$(rustc --version 2>/dev/null | cut -d' ' -f2 || true)
  if [ -z "$have" ] || [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n1)" != "$wanted" ]; then
    step "installing Rust, at least $wanted (found: ${have:-none})"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
      sh -s -- -y --no-modify-path --profile minimal --component rustfmt,clippy --default-toolchain stable
  fi
}
