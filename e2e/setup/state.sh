# shellcheck shell=bash
# Leaves the engine as it was: what locket makes once for an engine (the volumes of store and shim, the store's container, its image)
# is removed after a run if it was not there before. Sourced by e2e/run and e2e/demo/demo.

state_before() {
  STATE_VOLUME=$(docker volume ls -q --filter name='^locket-state$')
  STATE_SHIM=$(docker volume ls -q --filter name='^locket-shim$')
  STATE_IMAGES=$(docker images -q locket | sort -u)
}

state_after() {
  local image
  if [ -z "$STATE_VOLUME" ]; then
    docker ps -aq --filter label=locket.role=store | xargs -r docker rm -f >/dev/null 2>&1 || true
    docker volume rm locket-state >/dev/null 2>&1 || true
  fi
  if [ -z "$STATE_SHIM" ]; then
    docker ps -aq --filter label=locket.role=shim | xargs -r docker rm -f >/dev/null 2>&1 || true
    docker volume rm locket-shim >/dev/null 2>&1 || true
  fi
  for image in $(docker images -q locket | sort -u); do
    # One that a container still uses stays.
    grep -qxF "$image" <<<"$STATE_IMAGES" || docker rmi "$image" >/dev/null 2>&1 || true
  done
}
