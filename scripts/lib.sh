# Sourced by the other scripts: where things are, and how to run something as the database's user.
#
# PostgreSQL runs in a "world": this machine, or (for 17, which this Debian does not ship) a folder made by debootstrap.
# Everything a server touches lives in $RUN, because the server's user may not be able to look into the checkout.
set -euo pipefail
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES PGOPTIONS PGDATABASE PGPORT PGSERVICE
unset RUST_BACKTRACE # a server that inherits it writes back-traces into the DETAIL of errors

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RUN=${E2I_RUN_DIR:-/var/tmp/e2i_serve-$(printf '%s' "$UID:$ROOT" | sha256sum | cut -c1-8)}
PG_MAJOR=${PG_MAJOR:-15}
ORT_DIR=$ROOT/target/onnxruntime

if [[ ! -t 1 ]]; then export NO_COLOR=1 CARGO_TERM_PROGRESS_WHEN=never; fi

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if ((UID == 0)); then "$@"
    elif have sudo; then sudo "$@"
    else die "this needs root: run it as root, install sudo, or have an administrator run: $*"; fi
}

# --- the world ------------------------------------------------------------------------------------------------------

# Where each major comes from: this machine, a Debian suite that has it (SUITE), or a Python wheel with servers in it (WHEEL).
SUITE='' WHEEL=''
if [[ ! -x /usr/lib/postgresql/$PG_MAJOR/bin/initdb ]]; then
    case $PG_MAJOR in
        15) ;;
        16 | 18) WHEEL=$ROOT/target/postgres-$PG_MAJOR ;;
        17) SUITE=trixie ;;
        *) die "PostgreSQL $PG_MAJOR is not one of 15, 16, 17 and 18" ;;
    esac
fi

if [[ $SUITE ]]; then
    WORLD=$ROOT/target/debian-$SUITE
    BUILD_PG_CONFIG=$ROOT/target/debian-$SUITE.pg_config
    SERVER_USER=postgres
else
    WORLD=''
    BUILD_PG_CONFIG=$RUN/pg$PG_MAJOR/usr/lib/postgresql/$PG_MAJOR/bin/pg_config
    if ((UID == 0)); then SERVER_USER=postgres; else SERVER_USER=$(id -un); fi
fi
export PGRX_PG_CONFIG_PATH=$BUILD_PG_CONFIG # one value in every build, or pgrx is compiled again

# cargo's flags that choose the major (15 is the default feature)
FEATURES=()
if [[ $PG_MAJOR != 15 ]]; then FEATURES=(--no-default-features --features "e2i_serve/pg$PG_MAJOR"); fi

# Runs a command where the database is, as the database's user (IN_WORLD: see `cluster`).
in_world() { "${IN_WORLD[@]}" "$@"; }

# Makes $RUN, and refuses one that somebody else made.
run_dir() {
    mkdir -p -m 755 "$RUN"
    [[ -O $RUN && ! -L $RUN ]] || die "$RUN belongs to somebody else; set E2I_RUN_DIR to another folder"
}

# A private copy of PostgreSQL (it is relocatable): nothing of ours enters the installed one.
pg_tree() {
    local tree=$1 lib=usr/lib/postgresql/$PG_MAJOR share=usr/share/postgresql/$PG_MAJOR
    [[ ! -x $tree/$lib/bin/pg_config ]] || return 0
    if [[ $WHEEL ]]; then
        mkdir -p "$tree"
        cp -a "$WHEEL/usr" "$tree/"
        return
    fi
    mkdir -p "$tree/usr/lib/postgresql" "$tree/usr/share/postgresql"
    cp -a "/$share" "$tree/usr/share/postgresql/"
    cp -a "/$lib" "$tree/usr/lib/postgresql/"
    ln -sfn /usr/include "$tree/usr/include"
}

# --- clusters -------------------------------------------------------------------------------------------------------

# Names the cluster the functions below work on; starts nothing.
#   CLUSTER    its folder as the server sees it      HOST_CLUSTER  the same folder seen from here
#   PG_CONFIG  for `make install` into it            MODELS        the fixtures as the server sees them
cluster() {
    if [[ $WORLD ]]; then
        CLUSTER=/srv/$1 PGBIN=/usr/lib/postgresql/$PG_MAJOR/bin PG_CONFIG=$BUILD_PG_CONFIG
    else
        CLUSTER=$RUN/$1 PGBIN=$CLUSTER/pg/usr/lib/postgresql/$PG_MAJOR/bin PG_CONFIG=$PGBIN/pg_config
    fi
    HOST_CLUSTER=$WORLD$CLUSTER MODELS=$CLUSTER/src/tests/models
    IN_WORLD=(env -C / "PATH=$PGBIN:/usr/sbin:/usr/bin:/sbin:/bin" LC_ALL=C.UTF-8 "PGHOST=$CLUSTER" PGUSER=postgres
        "E2I_MODELS=$MODELS")
    # With /proc, where the tests read how much memory a backend has and whether it left a child behind.
    if [[ $WORLD ]]; then
        IN_WORLD=(unshare --mount --propagation private bash -c 'mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"'
            "$WORLD" runuser -u postgres -- "${IN_WORLD[@]}")
    elif ((UID == 0)); then IN_WORLD=(runuser -u postgres -- "${IN_WORLD[@]}"); fi
    if [[ $WORLD ]] && ((UID != 0)); then IN_WORLD=(sudo "${IN_WORLD[@]}"); fi
}

# Its folder, its PostgreSQL, and a copy of what the server and the test programs read.
cluster_files() {
    if [[ ! $WORLD ]]; then run_dir; pg_tree "$CLUSTER/pg"; fi
    outside rm -rf "$HOST_CLUSTER/src"
    outside mkdir -p "$HOST_CLUSTER/src"
    (cd "$ROOT" && outside cp -r Makefile e2i_serve.control sql tests demo "$HOST_CLUSTER/src/")
    outside chmod -R a+rX "$HOST_CLUSTER/src"
    give_to_server "$CLUSTER/src" -R
}

# Runs a command on the cluster's files from outside; those of another world belong to root.
outside() { if [[ $WORLD ]]; then as_root "$@"; else "$@"; fi; }

# chown to the server's user, whose number in another world may be another one.
give_to_server() {
    if [[ $WORLD ]]; then as_root chroot "$WORLD" chown "${@:2}" postgres: "$1"
    elif ((UID == 0)); then chown "${@:2}" postgres: "$1"; fi
}

# Compiles, and installs into the cluster's own PostgreSQL.
cluster_install() {
    local profile=$1
    make -s -C "$ROOT" all PG_CONFIG="$PG_CONFIG" PROFILE="$profile"
    outside env "PATH=$PATH" make -s -C "$ROOT" install PG_CONFIG="$PG_CONFIG" PROFILE="$profile" >/dev/null
}

cluster_running() { in_world pg_ctl -D "$CLUSTER/data" status >/dev/null 2>&1; }

# Socket only, in a folder of its own that nobody else may enter: it can meet no cluster that is already there.
cluster_start() {
    if cluster_running; then return; fi
    if [[ ! -e $HOST_CLUSTER/data ]]; then
        give_to_server "$CLUSTER"
        outside chmod 700 "$HOST_CLUSTER"
        in_world initdb -D "$CLUSTER/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
        {
            printf "listen_addresses = ''\nunix_socket_directories = '%s'\n" "$CLUSTER"
            printf "fsync = off\nlogging_collector = off\ndynamic_shared_memory_type = mmap\n"
            if [[ -e $ROOT/tests/postgresql.conf ]]; then cat "$ROOT/tests/postgresql.conf"; fi
        } | in_world tee -a "$CLUSTER/data/postgresql.conf" >/dev/null
    fi
    in_world pg_ctl -D "$CLUSTER/data" -l "$CLUSTER/server.log" -w -s start || {
        in_world tail -n 20 "$CLUSTER/server.log" >&2
        die "the server did not start"
    }
}

# Runs `make installcheck` in the world, on the copied tests; shows what differed. BATCH_SCAN=off: without batches in scans.
cluster_installcheck() {
    local status=0 diffs
    in_world make -s -C "$CLUSTER/src" installcheck PG_CONFIG="$PGBIN/pg_config" E2I_MODELS="$MODELS" BATCH_SCAN="${BATCH_SCAN:-}" "$@" || status=$?
    if ((status)); then
        for diffs in "$HOST_CLUSTER"/src/tests/*/regression.diffs "$HOST_CLUSTER"/src/tests/isolation/output_iso/regression.diffs; do
            if outside test -s "$diffs"; then outside cat "$diffs"; fi
        done
    fi
    return "$status"
}

# Runs the scripts of tests/cluster, or one of them, on servers of their own that use this cluster's PostgreSQL.
cluster_scripts() {
    local script status=0
    for script in "$ROOT"/tests/cluster/${1:-*}.sh; do
        if [[ $script == */common.sh ]]; then continue; fi
        [[ -e $script ]] || die "there is no ${script#"$ROOT/"}"
        E2I_CLUSTER=${HOST_CLUSTER##*/} "$script" || { printf 'FAILED %s, which ended in %d\n' "${script##*/}" "$?"; status=1; }
    done
    return "$status"
}

# Calls the tests of src/tests.rs, or one of them, each in a session of its own; the library is a development build.
cluster_rust() {
    local library=${CARGO_TARGET_DIR:-$ROOT/target}/debug/e2i_serve-pg$PG_MAJOR.so name status=0 found=''
    for name in $(nm --dynamic --defined-only "$library" | sed -n 's/.* T test_\(.*\)_wrapper$/\1/p'); do
        if [[ ${1:-$name} != "$name" ]]; then continue; fi
        found=1
        if in_world psql -Xq -o /dev/null -d postgres -v ON_ERROR_STOP=1 -v VERBOSITY=verbose <<SQL
            CREATE FUNCTION pg_temp.test() RETURNS void LANGUAGE c AS '\$libdir/e2i_serve', 'test_${name}_wrapper';
            SELECT pg_temp.test();
SQL
        then printf 'test %s ... ok\n' "$name"
        else printf 'test %s ... FAILED\n' "$name"; status=1; fi
    done
    [[ $found ]] || die "src/tests.rs has no test ${1:-}"
    return "$status"
}

# A new database on it.
cluster_database() { in_world psql -X -q -d postgres -c "SET client_min_messages = warning" -c "DROP DATABASE IF EXISTS $1 WITH (FORCE)" -c "CREATE DATABASE $1"; }

# Stops it and deletes all of it.
cluster_remove() {
    if [[ ! -e $HOST_CLUSTER ]]; then return; fi
    if cluster_running; then in_world pg_ctl -D "$CLUSTER/data" -m immediate -w -s stop; fi
    outside rm -rf "$HOST_CLUSTER"
}

# Deletes $RUN too, unless a cluster is left in it.
run_dir_remove() {
    if ! compgen -G "$RUN/*/data" >/dev/null; then rm -rf "$RUN"; fi
}
