# shellcheck shell=bash
# Part of the set-up: an engine that answers, and Compose with provider services.
# An engine that answers already is used as it is. Only if none does, Debian's packages are unpacked into
# a prefix (nothing of a newer suite gets into the system) and a daemon is started from there.
# shellcheck source=lib.sh

WANT_ENGINE=26     # volume subpaths
WANT_COMPOSE=2.36  # provider services
SUITE=forky INSTALL_ENGINE=28. INSTALL_COMPOSE=2.40.
PREFIX=${LOCKET_TEST_PREFIX:-/opt/locket-e2e}
ENGINE_DEBS=(docker.io docker-cli docker-compose docker-buildx containerd)
BASE_DEBS=(runc iptables tini ca-certificates)
SOCKET=/var/run/docker.sock PIDFILE=/var/run/docker.pid LOG=/var/log/locket-e2e-dockerd.log
PLUGINS=/usr/local/libexec/docker/cli-plugins

engine_version() { timeout 20 docker version --format '{{.Server.Version}}' 2>/dev/null || true; }
compose_version() { timeout 20 docker compose version --short 2>/dev/null || true; }
is_dockerd() { case $(readlink "/proc/${1:-0}/exe" 2>/dev/null || true) in */dockerd*) return 0 ;; esac; return 1; }
prefix_path() { PATH="$PREFIX/usr/bin:$PREFIX/usr/sbin:$PATH"; }

engine() {
  STEP="Docker Engine"
  [ ! -f "$PREFIX/.complete" ] || prefix_path
  local v c
  v=$(engine_version)
  if [ -z "$v" ]; then engine_install; engine_start; v=$(engine_version)
  elif [ "$(version_number "$v")" -lt "$(version_number $WANT_ENGINE)" ]; then
    die "the engine that answers is $v; locket needs $WANT_ENGINE or newer. It is left as it is: upgrade it, or point DOCKER_HOST elsewhere"
  fi
  STEP="Docker Compose"
  c=$(compose_version)
  if [ -z "$c" ]; then engine_install; c=$(compose_version); fi
  [ -n "$c" ] && [ "$(version_number "$c")" -ge "$(version_number $WANT_COMPOSE)" ] ||
    die "Compose is ${c:-missing}; locket needs $WANT_COMPOSE or newer (provider services)"
  say "Docker Engine $v, Compose $c"
}

engine_install() {
  [ ! -f "$PREFIX/.complete" ] || { engine_plugins; return 0; }
  [ "$(id -u)" = 0 ] || die "no Docker Engine answers. Install Docker Engine $WANT_ENGINE or newer with Compose $WANT_COMPOSE or newer and let this user reach it, or run this as root on Debian to have it done"
  [ -f /etc/debian_version ] || die "no Docker Engine answers, and this is no Debian: install Docker Engine $WANT_ENGINE or newer with Compose $WANT_COMPOSE or newer"
  engine_base; engine_fetch; engine_unpack; engine_plugins
}

engine_base() {
  STEP="packages of this system"
  local p missing=()
  for p in "${BASE_DEBS[@]}"; do dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]} from this system's own suite"
  local get=(apt-get -qq -o DPkg::Lock::Timeout=180 install -y --no-install-recommends "${missing[@]}")
  DEBIAN_FRONTEND=noninteractive "${get[@]}" >"$CACHE/base.log" 2>&1 ||
    { apt-get -qq update >>"$CACHE/base.log" 2>&1 && DEBIAN_FRONTEND=noninteractive "${get[@]}" >>"$CACHE/base.log" 2>&1; } ||
    { tail -5 "$CACHE/base.log" >&2; die "apt-get install ${missing[*]}"; }
}

engine_debs_fit() {  # are exactly the wanted versions in $CACHE/engine?
  local p f v want
  for p in "${ENGINE_DEBS[@]}"; do
    f=$(find "$CACHE/engine" -name "${p}_*.deb" 2>/dev/null | sort | tail -1)
    [ -n "$f" ] || { echo "$p is missing"; return 1; }
    v=$(dpkg-deb -f "$f" Version 2>/dev/null) || { echo "$f is damaged"; return 1; }
    case $p in docker.io | docker-cli) want=$INSTALL_ENGINE ;; docker-compose) want=$INSTALL_COMPOSE ;; *) want= ;; esac
    case ${v#*:} in "$want"*) ;; *) echo "$SUITE has $p $v, wanted $want*"; return 1 ;; esac
  done
}

engine_fetch() {
  STEP="packages of Debian $SUITE"
  mkdir -p "$CACHE"/engine "$CACHE"/engine-apt/{lists/partial,archives/partial}
  ! engine_debs_fit >/dev/null || { say "using the packages in $CACHE/engine"; return 0; }
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror why a="$CACHE/engine-apt"
  [ -f $keyring ] || die "$keyring is missing (package debian-archive-keyring)"
  # The mirror that this system itself uses for Debian's main archive.
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
    awk '$2 == "Debian" && $3 !~ /security/ {print $1; exit}')
  [ -n "$mirror" ] || { apt-get -qq update >"$a/update.log" 2>&1 || true
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
      awk '$2 == "Debian" && $3 !~ /security/ {print $1; exit}'); }
  [ -n "$mirror" ] || die "no Debian mirror in this system's apt sources"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: %s\nSigned-By: %s\n' \
    "$mirror" "$SUITE" "$(dpkg --print-architecture)" "$keyring" >"$a/newer.sources"
  local o=(-o Dir::Etc::SourceList="$a/newer.sources" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
    -o Dir::State::Lists="$a/lists" -o Dir::Cache="$a" -o APT::Sandbox::User=root
    -o Acquire::Languages=none -o Acquire::Retries=3)
  say "reading the package index of Debian $SUITE"
  if ! apt-get "${o[@]}" -qq --error-on=any update >"$a/update.log" 2>&1; then
    # A frozen mirror serves an index past its Valid-Until; its signature is checked all the same.
    grep -q 'is expired' "$a/update.log" || { tail -5 "$a/update.log" >&2; die "apt-get update for $SUITE"; }
    say "the index of $SUITE is past its Valid-Until; using it, signatures checked"
    o+=(-o Acquire::Check-Valid-Until=false)
    apt-get "${o[@]}" -qq --error-on=any update >"$a/update.log" 2>&1 || { tail -5 "$a/update.log" >&2; die "apt-get update for $SUITE"; }
  fi
  say "downloading ${ENGINE_DEBS[*]}"
  rm -f "$CACHE"/engine/*.deb
  ( cd "$CACHE/engine" && apt-get "${o[@]}" -qq download "${ENGINE_DEBS[@]/%//$SUITE}" ) >"$a/download.log" 2>&1 ||
    { tail -5 "$a/download.log" >&2; die "apt-get download from $SUITE"; }
  why=$(engine_debs_fit) || die "$why"
}

engine_unpack() {
  STEP="unpack"
  say "unpacking into $PREFIX"
  rm -rf "$PREFIX.new"; mkdir -p "$PREFIX.new"
  local f missing
  for f in "$CACHE"/engine/*.deb; do dpkg-deb -x "$f" "$PREFIX.new"; done
  rm -rf "$PREFIX.new"/usr/share/{doc,man,lintian}
  # dockerd looks for docker-init on its own PATH, for `init: true`; Debian's is a link to tini-static.
  install -m 0755 "$(command -v tini-static || die "tini-static (package tini) is missing")" "$PREFIX.new/usr/bin/docker-init.new"
  mv -f "$PREFIX.new/usr/bin/docker-init.new" "$PREFIX.new/usr/bin/docker-init"
  missing=$(ldd "$PREFIX.new"/usr/sbin/dockerd "$PREFIX.new"/usr/bin/{docker,containerd} 2>/dev/null | grep 'not found' || true)
  [ -z "$missing" ] || die "the programs of $SUITE need libraries that this system lacks: $missing"
  rm -rf "$PREFIX"; mv "$PREFIX.new" "$PREFIX"
  echo "$SUITE $INSTALL_ENGINE $INSTALL_COMPOSE" >"$PREFIX/.complete"
}

engine_plugins() {  # the CLI looks for plugins in fixed places only; what somebody else put there stays
  STEP="CLI plugins"
  prefix_path
  local p from to
  mkdir -p "$PLUGINS"
  for p in docker-compose docker-buildx; do
    from=$PREFIX/usr/libexec/docker/cli-plugins/$p to=$PLUGINS/$p
    [ -x "$from" ] || die "$p is not in the packages"
    if [ -L "$to" ] && [ ! -e "$to" ]; then rm -f "$to"; fi
    [ -e "$to" ] || ln -s "$from" "$to"
  done
}

engine_start() {  # arguments are dockerd's own
  STEP="start dockerd"
  [ -z "${DOCKER_HOST:-}" ] || [ "$DOCKER_HOST" = "unix://$SOCKET" ] || die "DOCKER_HOST=$DOCKER_HOST does not answer"
  if [ ! -f /sys/fs/cgroup/cgroup.controllers ] && ! grep -qE '^[^ ]+ /sys/fs/cgroup/[^ ]+ cgroup ' /proc/mounts; then
    say "mounting cgroup2"; mount -t cgroup2 cgroup2 /sys/fs/cgroup || die "no cgroups are mounted, and cgroup2 cannot be"
  fi
  local pid; pid=$(cat $PIDFILE 2>/dev/null || true)
  if ! is_dockerd "$pid"; then
    rm -f $PIDFILE
    say "starting dockerd, log: $LOG"
    printf '\n=== %s\n' "$(date -u +%FT%TZ)" >>$LOG
    PATH="$PREFIX/usr/bin:$PREFIX/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
      setsid nohup "$PREFIX/usr/sbin/dockerd" --host unix://$SOCKET --pidfile $PIDFILE "$@" >>$LOG 2>&1 </dev/null &
    pid=$!
  fi
  local until=$((SECONDS + 60))
  while [ -z "$(engine_version)" ]; do
    is_dockerd "$pid" || kill -0 "$pid" 2>/dev/null || { tail -8 $LOG | cut -c1-400 >&2; die "dockerd ended ($LOG)"; }
    [ $SECONDS -lt $until ] || { tail -8 $LOG | cut -c1-400 >&2; die "dockerd does not answer after 60 s ($LOG)"; }
    sleep 0.1
  done
  : >"$CACHE/engine-is-ours"
}

engine_restart() {  # by a signal (TERM), with more arguments for dockerd; only an engine that the set-up itself started
  STEP="restart dockerd"
  local signal=${1:-TERM} pid; pid=$(cat $PIDFILE 2>/dev/null || true)
  shift $(($# > 0))
  case $(readlink "/proc/${pid:-0}/exe" 2>/dev/null || true) in "$PREFIX"/*) ;; *) die "the engine was not started by this set-up: it is left alone" ;; esac
  kill -"$signal" "$pid"
  local until=$((SECONDS + 60))
  while is_dockerd "$pid"; do [ $SECONDS -lt $until ] || die "dockerd $pid does not end"; sleep 0.1; done
  prefix_path; engine_start "$@"
}
