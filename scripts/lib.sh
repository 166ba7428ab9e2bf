# Shared by scripts/setup and .ci/run. Sourced by bash; sets no option of its own.

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$1" >&2
    shift
    local line
    for line in "$@"; do printf 'hint: %s\n' "$line" >&2; done
    exit 1
}

# Root has no cache of its own here: a server that root starts runs as an unprivileged account,
# which cannot enter root's home directory.
cache_dir() {
    if [ "$(id -u)" -eq 0 ]; then
        echo /var/cache/backlot
    else
        echo "${HOME:?HOME is not set}/.cache/backlot"
    fi
}

# find_tool PROGRAM VERSION: prints the cargo-* program: from PATH, our cache, PyPI (seconds) or by
# compiling it (minutes).
find_tool() {
    local program=$1 version=$2 dir
    if command -v "$program"; then return; fi
    dir=$(cache_dir)/tools/$program-$version
    if [ ! -x "$dir/bin/$program" ]; then
        install_wheel "$dir" "astral-dev-toolchain-$program" "$version" "bin/$program" >&2 ||
            cargo install "$program" --locked --version "$version" --root "$dir" >&2 ||
            return 1
    fi
    echo "$dir/bin/$program"
}

# install_wheel DIR NAME VERSION PROOF: unpacks one wheel into DIR, all or nothing. PROOF is a
# path in it that must be there. pip picks the file for this platform and checks its hash.
install_wheel() {
    local dir=$1 name=$2 version=$3 proof=$4 fresh
    mkdir -p "$(dirname "$dir")" || return 1
    fresh=$(mktemp -d "$(dirname "$dir")/.$(basename "$dir").XXXXXX") || return 1
    if python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
        --only-binary :all: --target "$fresh" "$name==$version" >"$fresh.log" 2>&1 &&
        [ -e "$fresh/$proof" ]; then
        # mktemp made it 0700; the server's account must be able to enter.
        chmod -R go+rX "$fresh" && rm -rf "$dir" && mv "$fresh" "$dir" && rm -f "$fresh.log"
    else
        tail -n 5 "$fresh.log" | sed 's/^/    pip: /'
        rm -rf "$fresh" "$fresh.log"
        return 1
    fi
}
