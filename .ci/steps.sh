# Shared by the scripts here, which source it.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=never

step() {
    echo
    echo "== $* =="
    "$@"
}

# Reports a check that this machine cannot run. `run` repeats the reports at its end.
left_out() {
    echo "LEFT OUT: $*" | tee -a "${LEFT_OUT:-/dev/null}"
}

# Installs Debian packages, which requires root.
install() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "only root can install the required packages: $*"
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    step apt-get update
    step apt-get install --yes --no-install-recommends "$@"
}

# Installs a cargo tool in the version that the checks were written for. Unoptimized, because that builds
# faster.
tool() {
    local version
    case $1 in
        cargo-deny) version=0.20.2 ;;
        cargo-hack) version=0.6.46 ;;
        cargo-llvm-cov) version=0.9.1 ;;
        cargo-fuzz) version=0.13.2 ;;
        cargo-mutants) version=27.1.0 ;;
        cargo-public-api) version=0.52.0 ;;
        typos-cli) version=1.52.0 ;;
    esac
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    cargo install --list | grep "^$1 v$version:" >/dev/null && return
    step env -u RUSTFLAGS CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --profile dev "$1@$version"
}
