# shellcheck shell=bash
# Part of the set-up: the images of the tests, made from this machine's own packages; nothing is pulled.
# shellcheck source=lib.sh

# `image NAME recipe…`: keeps locket-test/NAME if it was made by this very recipe, else calls `make_NAME` in a
# fresh directory and imports the `root` that it leaves. Dockerfile lines for the import come from `changes_NAME`.
image() {
  STEP="image $IMAGES/$1"
  local tag="$IMAGES/$1" name=${1%%:*} recipe dir
  recipe=$(cat "$HERE/images.sh" "$HERE/lib.sh" "$HERE"/images/* | sha256sum | cut -c1-16)
  [ "$(docker image inspect --format '{{index .Config.Labels "locket.test.recipe"}}' "$tag" 2>/dev/null || true)" != "$recipe" ] || return 0
  say "making $tag"
  dir=$(mktemp -d "$CACHE/image.XXXXXX")
  mkdir "$dir/root"
  ( cd "$dir"; "make_$name" )   # no `||` here: it would switch errexit off inside
  local change=(--change "LABEL $LABEL" --change "LABEL locket.test.recipe=$recipe") line
  while IFS= read -r line; do [ -z "$line" ] || change+=(--change "$line"); done < <("changes_$name")
  tar -C "$dir/root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - . |
    docker import "${change[@]}" - "$tag" >/dev/null
  rm -rf "$dir"
}

PATH_LINE='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

busybox_root() {  # busybox with all its names, and the users that images commonly have
  mkdir -p root/{bin,sbin,usr/bin,usr/sbin,etc,root,proc,sys,dev,run,var,tmp,home/app}
  chmod 1777 root/tmp; chmod 700 root/root
  local deb; deb=$(debs busybox-static)
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C . --wildcards '*bin/busybox'
  local bb; bb=$(find . -path ./root -prune -o -type f -name busybox -print | head -1)
  install -m 0755 "$bb" root/bin/busybox
  "$bb" --list-full | while read -r name; do
    [ -e "root/$name" ] || [ -L "root/$name" ] || { mkdir -p "root/${name%/*}"; ln -s /bin/busybox "root/$name"; }
  done
  cp "$HERE/images/passwd" "$HERE/images/group" root/etc/
  printf 'hosts: files dns\n' >root/etc/nsswitch.conf
}

make_busybox() { busybox_root; }
changes_busybox() { printf '%s\n' 'CMD ["sh"]' "$PATH_LINE"; }

make_drops() {  # starts as root and drops to user `app` itself, which nobody can see from outside
  busybox_root
  install -m 0755 "$HERE/images/drops-entrypoint" root/bin/entrypoint
}
changes_drops() { printf '%s\n' 'ENTRYPOINT ["/bin/entrypoint"]' "$PATH_LINE"; }

make_scratch() {  # one static program and nothing else: no shell, no libc, no /etc
  rustc --edition 2024 -C opt-level=s -C panic=abort -C strip=symbols -C target-feature=+crt-static \
    -o root/app "$HERE/images/scratch.rs"
}
changes_scratch() { printf '%s\n' 'ENTRYPOINT ["/app"]'; }

make_postgres() {
  # Left out: what only maintainer scripts, management tools and the JIT need.
  DROP='^(perl.*|libperl.*|debconf.*|adduser|passwd|ucf|sensible-utils|libllvm.*|netbase|dpkg|tar|lsb-base|sysvinit-utils|init-system-helpers|postgresql-common|postgresql-client-common|ssl-cert|procps|logrotate|cron.*|libsystemd-shared|systemd.*|dbus.*|gcc-.*-base)$' \
    debs closure postgresql-15 tzdata >list
  while read -r deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C root -x --keep-directory-symlink \
      --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/info/*' \
      --exclude='./usr/share/perl*' --exclude='./usr/lib/*/perl*' --exclude='./usr/lib/*/gconv/*' --exclude='*llvmjit*' \
      --exclude='*/bitcode/*' --exclude='./usr/share/i18n/*' --exclude='./usr/include/*' --exclude='*.a'
  done <list
  busybox_root
  mkdir -p root/var/lib/postgresql root/run/postgresql root/usr/local/bin
  # As base-files has it: clients look for the socket below /var/run.
  rm -rf root/var/run; ln -s ../run root/var/run
  install -m 0755 "$HERE/images/postgres-entrypoint" root/usr/local/bin/docker-entrypoint.sh
  PATH="$PATH:/sbin" ldconfig -r root
}
changes_postgres() {
  printf '%s\n' 'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["postgres"]' 'STOPSIGNAL SIGINT' 'VOLUME /var/lib/postgresql/data' \
    'ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    'ENV PGDATA=/var/lib/postgresql/data'
}

images() { image busybox; image drops; image scratch; image postgres:15; }
