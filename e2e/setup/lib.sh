# shellcheck shell=bash
# What the parts of the set-up share. Sourced by bash, never run.
set -Eeuo pipefail

# Downloads and servers are kept here between runs; a second run needs no network.
if [ "$(id -u)" = 0 ]; then CACHE=${LOCKET_TEST_CACHE:-/var/cache/locket-e2e}
else CACHE=${LOCKET_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/locket-e2e}; fi
# Everything that we make on the engine carries this label or a name under this prefix.
LABEL=locket.test=1
IMAGES=locket-test
STEP=start

say() { printf 'setup: [%3ss] %s\n' "$SECONDS" "$*" >&2; }
# 70: said already; an outer shell that sees it ends without a second message.
die() { printf 'setup: FAILED at "%s": %s\n' "$STEP" "$*" >&2; exit 70; }
trap 'code=$?; [ $code = 70 ] && exit 70; die "\"$BASH_COMMAND\" ended with $code (line $LINENO of ${BASH_SOURCE[0]##*/})"' ERR

# The major and minor number of a version, as one comparable integer: 28.5.2 → 28005.
version_number() { local a b; IFS=. read -r a b _ <<<"${1//[^0-9.]/.}."; echo $((10#${a:-0} * 1000 + 10#${b:-0})); }

# apt with this system's own sources, keys and checks, but with a package database of our own,
# in which nothing is installed: what it resolves is a complete closure. Needs no root.
apt_own() {
  mkdir -p "$CACHE"/apt/{lists/partial,archives/partial}
  : >"$CACHE/apt/status"
  apt-get -o Dir::State="$CACHE/apt" -o Dir::State::status="$CACHE/apt/status" -o Dir::Cache="$CACHE/apt" \
    -o APT::Sandbox::User=root -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::Retries=3 \
    -o APT::Install-Recommends=false -o APT::Install-Suggests=false "$@" 2>>"$CACHE/apt.log"
}

# Downloads Debian packages (name or name=version) into $CACHE/debs and prints their paths.
# With `closure` as the first word, with everything that they depend on, except what DROP matches.
debs() {
  local closure='' name version file missing=() all=()
  if [ "$1" = closure ]; then closure=1; shift; fi
  command -v apt-get >/dev/null || die "this part needs Debian's apt-get; on another system, see e2e/setup/README.md"
  mkdir -p "$CACHE/debs"; : >"$CACHE/apt.log"
  local key
  key=$CACHE/apt/closure-$(printf '%s ' "$@" "${DROP:-}" | sha256sum | cut -c1-16)
  if [ ! -s "$key" ]; then
    apt_own -qq update >/dev/null || { tail -5 "$CACHE/apt.log" >&2; die "apt-get update"; }
    apt_own -qq --print-uris install -y "$@" >"$key.new" || { tail -5 "$CACHE/apt.log" >&2; die "apt cannot resolve $*"; }
    mv "$key.new" "$key"
  fi
  while read -r file; do
    name=${file%%_*}
    if [ -n "$closure" ]; then [[ -n ${DROP:-} && $name =~ $DROP ]] && continue
    else [[ " $* " == *" $name "* ]] || continue; fi
    all+=("$CACHE/debs/$file")
    version=${file#*_}; version=${version%_*}
    [ -s "$CACHE/debs/$file" ] || missing+=("$name=${version//%3a/:}")
  done < <(awk '{print $2}' "$key")
  if [ ${#missing[@]} -gt 0 ]; then
    say "downloading ${#missing[@]} of ${#all[@]} packages"
    ( cd "$CACHE/debs" && apt_own -qq download "${missing[@]}" >/dev/null ) || {
      rm -f "$key"; tail -5 "$CACHE/apt.log" >&2; die "apt-get download ${missing[*]}"; }
  fi
  printf '%s\n' "${all[@]}"
}
