# What the scripts here have in common; they source it.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=never

step() {
    echo
    echo "== $* =="
    "$@"
}

# What a machine cannot do is said, and `run` says it again at its end.
left_out() {
    echo "LEFT OUT: $*" | tee -a "${LEFT_OUT:-/dev/null}"
}

# Debian packages, which only root can install.
install() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "these are needed, and only root can install them: $*"
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    step apt-get update
    step apt-get install --yes --no-install-recommends "$@"
}

# Cargo's tools, each in the version that the checks were written with; built without optimisation, which is quicker.
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
