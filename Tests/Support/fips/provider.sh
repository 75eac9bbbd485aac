#!/usr/bin/env bash
# Puts OpenSSL's FIPS provider where tests find it: the module, what its self tests wrote (`openssl fipsinstall`), and
# configurations that show it to programs (FIPSProvider.swift says which). Nothing of the machine's own OpenSSL is touched.
#   provider.sh DIR
# The module is the machine's own where it has one, else Debian's package, which came with Debian 13: its module works below
# older libraries, and needs nothing of its release but the C library. Ends with 1, and one line that says why, without one.
set -euo pipefail
directory=$(mkdir -p "$1" && cd "$1" && pwd)
package=openssl-provider-fips release=trixie
# What is there of an earlier time must not pass for what this one makes.
rm -f "$directory"/*.cnf
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
missing() { echo "No FIPS provider: $1" >&2; exit 1; }

# The release's lists, in a folder of their own, from the place that the machine's own packages come from.
lists() {
  local codename place
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  place=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
    awk -v codename="$codename" '$1 == codename { print $2; exit }')
  [ -n "$place" ] || return 1
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $place $release main" > "$work/sources.list"
}

apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
  -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)

own="$(openssl version -m | cut -d'"' -f2)/fips.so"
if [ -e "$own" ]; then
  cp "$own" "$directory/fips.so"
else
  # `apt-get download` writes into the current folder, and needs no root.
  cd "$work"
  apt-get -qq download "$package" 2> /dev/null || {
    lists || missing "apt names no place for this release's packages."
    { "${apt[@]}" update && "${apt[@]}" download "$package"; } > "$work/log" 2>&1 ||
      missing "$package does not come from Debian's $release: $(tail -n 1 "$work/log")"
  }
  dpkg-deb --extract "$package"_*.deb "$work/package"
  cp "$(find "$work/package" -name fips.so)" "$directory/fips.so"
fi

openssl fipsinstall -quiet -module "$directory/fips.so" -out "$directory/fipsmodule.cnf" -provider_name fips ||
  missing "its self tests do not pass below $(openssl version)."

configuration() {
  printf '%s\n' 'openssl_conf = openssl_init' ".include $directory/fipsmodule.cnf" '[openssl_init]' 'providers = provider_sect' \
    "${@:2}" '[provider_sect]' 'fips = fips_sect' "$1 = active_sect" '[active_sect]' 'activate = 1'
}
configuration base > "$directory/readme.cnf"
configuration default > "$directory/beside.cnf"
# The last: whoever finds it finds the others.
configuration base 'alg_section = algorithm_sect' '[algorithm_sect]' 'default_properties = fips=yes' > "$directory/only.cnf"
