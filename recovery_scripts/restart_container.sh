#!/bin/sh
# Restart a Docker container and wait until it stays up. POSIX sh; see README.md in this folder.
set -eu

usage() {
    cat <<'END'
usage: restart_container.sh NAME [options]

Restarts the Docker container NAME and waits until it is running and stays so for a second. Docker is
found as the docker program finds it: $DOCKER_HOST, $DOCKER_CONTEXT, else the local socket. NAME is the
container's name, or at least 12 digits of its id; a shorter id is refused, for it may hit another one.
A container that is paused, dead or being removed is left alone.

  --stop-timeout SECONDS  how long the container may take to stop before Docker kills it; without it
                          the container's own setting counts, else Docker's 10 seconds
  --force                 when the restart fails or hangs: docker kill, then docker start
  --wait SECONDS          for the restart and until it is up, together (default 20)
  --dry-run               print the commands, run none
  --help                  this text

exit status:
  0  restarted and up
  1  a command failed; its message is on stderr
  2  wrong usage
  3  no such container; nothing was changed
  4  refused: paused, dead or being removed; nothing was changed
  5  restarted, but not up within --wait
  6  a program is missing or Docker does not answer; nothing was changed
END
}

# --- The part below, up to the next such line, is the same in every script of this folder. ---------------------------
# Each script stands alone, because Defib checks owner and mode of the one file that it runs.

LC_ALL=C
export LC_ALL
# Defib runs the file it has checked through a descriptor, and passes on its name.
program=${DEFIB_SCRIPT:-$0}
program=${program##*/}
dry_run='' note='' output='' now=0 deadline=0 left=0

# fail STATUS MESSAGE…: one line on stderr, and out.
fail() {
    status=$1
    shift
    printf '%s: %s\n' "$program" "$*" >&2
    exit "$status"
}

usage_error() {
    fail 2 "$* (see $program --help)"
}

# checked_name WHAT VALUE [ALSO]: letters, digits, "_", ".", "-" and the characters of ALSO. Nothing that a program could
# take for an option, a pattern, a path or a second line gets past here; the value itself is never printed.
checked_name() {
    case $2 in
        '') usage_error "$1 is empty: give it a name" ;;
        -*) usage_error "$1 looks like an option: give it a name" ;;
        *..*) usage_error "$1 must not contain '..'" ;;
        [!A-Za-z0-9]* | *[!A-Za-z0-9_.${3:-}-]*)
            usage_error "$1 begins with a letter or digit and holds only letters, digits and _.-${3:-}" ;;
    esac
    [ "${#2}" -le 200 ] || usage_error "$1 is longer than 200 characters"
}

# checked_seconds WHAT VALUE: a whole number from 1 to 3600.
checked_seconds() {
    case $2 in
        [1-9] | [1-9][0-9] | [1-9][0-9][0-9] | [12][0-9][0-9][0-9] | 3[0-5][0-9][0-9] | 3600) ;;
        *) usage_error "$1 is a whole number of seconds from 1 to 3600" ;;
    esac
}

unknown_option() {
    usage_error "unknown option $(printf '%s' "$1" | tr -cd 'A-Za-z0-9=_-' | cut -c 1-40)"
}

# need PROGRAM REMEDY
need() {
    [ -n "$dry_run" ] || command -v "$1" >/dev/null 2>&1 || fail 6 "$1 not found: $2"
}

# tick: seconds of a clock that nobody sets, in $now; what is left until $deadline, in $left.
tick() {
    if read -r now _ 2>/dev/null </proc/uptime; then
        now=${now%%.*}
    else
        now=$(date +%s)
    fi
    left=$((deadline - now))
}

nap() {
    sleep 0.3 2>/dev/null || sleep 1
}

# bounded SECONDS COMMAND…: run it for at most so long. What it printed is in $output; its exit status is the status, 124
# when the time ran out. With --dry-run the command is printed with $note, and not run.
bounded() {
    limit=$1
    shift
    [ "$limit" -ge 1 ] || limit=1
    output=''
    if [ -n "$dry_run" ]; then
        line="timeout -k 1 $limit"
        for word in "$@"; do
            case $word in '' | *[!A-Za-z0-9_.,:/=@+-]*) word="'$word'" ;; esac
            line="$line $word"
        done
        printf '%s\n' "$line${note:+  # $note}"
        return 0
    fi
    status=0
    output=$(
        exec 2>/dev/null # the shell's own "Killed"
        # `timeout` leads a process group of its own: a signal that ends this script has to be handed on to it.
        trap 'kill "$child" 2>/dev/null' HUP INT TERM
        timeout -k 1 "$limit" "$@" </dev/null 2>&1 &
        child=$!
        wait "$child"
    ) || status=$?
    case $status in 137 | 143) status=124 ;; esac
    return "$status"
}

# said: the most telling line of $output, without control characters, and without what may be a password.
said() {
    printf '%s\n' "$output" | tr -d '\000-\011\013-\037\177' | awk '
        NF && first == "" { first = $0 }
        NF && best == "" && tolower($0) ~ /error|fail|denied|cannot|required/ { best = $0 }
        END { print best != "" ? best : first != "" ? first : "it printed nothing" }
    ' | sed -e 's#//[^/@ ]*@#//***@#g' -e 's/\([Pp]assword=\)[^ ]*/\1***/g' -e 's/[. ]*$//' | cut -c 1-300
}
# --- End of the part that is the same in every script of this folder. ------------------------------------------------

name='' stop_s='' force='' wait_s=20
while [ $# -gt 0 ]; do
    option='' value=''
    case $1 in
        --help | -h) usage; exit 0 ;;
        --dry-run) dry_run=yes ;;
        --force) force=yes ;;
        --stop-timeout | --wait)
            [ $# -ge 2 ] || usage_error "$1 needs a value"
            option=$1 value=$2
            shift ;;
        --stop-timeout=* | --wait=*) option=${1%%=*} value=${1#*=} ;;
        -*) unknown_option "$1" ;;
        *)
            [ -z "$name" ] || usage_error "more than one NAME"
            checked_name NAME "$1"
            name=$1 ;;
    esac
    shift
    case $option in
        --stop-timeout) checked_seconds --stop-timeout "$value"; stop_s=$value ;;
        --wait) checked_seconds --wait "$value"; wait_s=$value ;;
    esac
done
[ -n "$name" ] || usage_error "NAME is missing: which container is to be restarted?"

# With --force a third of the time is kept for kill and start.
restart_limit=$wait_s
[ -z "$force" ] || restart_limit=$((wait_s - wait_s / 3))
[ -z "$stop_s" ] || [ "$stop_s" -lt "$restart_limit" ] ||
    usage_error "--stop-timeout must be shorter than the $restart_limit s that the restart has: raise --wait"

# look: the container, in $id, $found, $state, $code, $oom and $started (another one after every start).
look() {
    id='' found='' state='' code='' oom='' started=''
    bounded 4 docker container inspect --format \
        'defib|{{.Id}}|{{.Name}}|{{.State.Status}}|{{.State.ExitCode}}|{{.State.OOMKilled}}|{{.State.StartedAt}}' \
        -- "$name" || return
    while IFS='|' read -r tag a b c d e f; do
        [ "$tag" != defib ] || id=$a found=${b#/} state=$c code=$d oom=$e started=$f
    done <<END
$output
END
}

restart() {
    bounded "$1" docker restart ${stop_s:+-t "$stop_s"} -- "$name"
}

kill_it() {
    bounded 4 docker kill -- "$name"
}

start_it() {
    bounded "$left" docker start -- "$name"
}

if [ -n "$dry_run" ]; then
    left=$((wait_s - restart_limit))
    note='must exist under this name, and be neither paused, dead nor being removed' look
    note='' restart "$restart_limit"
    if [ -n "$force" ]; then
        note='only if the restart failed' kill_it
        note='only if the restart failed' start_it
    fi
    note="until it is running and stays so, at most $wait_s s from the beginning" look
    exit 0
fi

need timeout "install coreutils"
need docker "install Docker's command line, or put it on the PATH"
tick
began=$now
deadline=$((now + wait_s))

look || {
    case $?:$output in
        124:*) fail 6 "Docker did not answer within 4 s; look at: journalctl -u docker -n 50" ;;
        *"o such container"* | *"o such object"*) fail 3 "no container is called $name; compare: docker ps --all" ;;
        *"ermission denied"*) fail 6 "may not talk to Docker ($(said)): add Defib's user to the group docker" ;;
        *) fail 6 "Docker did not answer ($(said)): is it running, and is DOCKER_HOST right?" ;;
    esac
}
# Docker takes a name that nobody bears for the beginning of an id. That must not restart a stranger.
if [ "$found" != "$name" ]; then
    case $id in
        "$name"*) [ "${#name}" -ge 12 ] || fail 3 "no container is called $name, only an id begins so; compare: docker ps --all" ;;
        *) fail 3 "no container is called $name, Docker found another one; compare: docker ps --all" ;;
    esac
fi
case $state in
    paused) fail 4 "container $name is paused, somebody wants it so; to go on: docker unpause $name" ;;
    dead | removing) fail 4 "container $name is $state; create it anew" ;;
esac
started_before=$started

tick
[ -n "$force" ] || restart_limit=$left
how=restarted
restart "$restart_limit" || {
    restart_status=$?
    if [ -z "$force" ]; then
        [ "$restart_status" -ne 124 ] ||
            fail 5 "container $name is not restarted after $wait_s s; shorten --stop-timeout, raise --wait, or add --force"
        fail 1 "cannot restart container $name: $(said); look at: docker logs --tail 50 $name"
    fi
    how='killed and started'
    kill_it || {
        case $?:$output in
            *"not running"*) ;;
            124:*) fail 1 "docker kill $name hangs: the daemon is stuck; look at: journalctl -u docker -n 50" ;;
            *) fail 1 "cannot kill container $name: $(said); look at: journalctl -u docker -n 50" ;;
        esac
    }
    tick
    start_it || {
        [ $? -ne 124 ] || fail 5 "container $name is killed and not started after $wait_s s; try: docker start $name"
        fail 1 "cannot start container $name: $(said); look at: docker logs --tail 50 $name"
    }
}

# Up is: running in two looks a second apart, and the same start, a new one, both times.
seen=''
while :; do
    start=''
    if look; then
        case $state in
            running)
                if [ "$started" != "$started_before" ]; then
                    start=$started
                    [ "$start" != "$seen" ] || break
                fi ;;
            exited | dead)
                [ "$oom" != true ] || code="$code, out of memory"
                fail 5 "container $name was $how and ended at once (exit status $code); look at: docker logs --tail 50 $name" ;;
        esac
    fi
    seen=$start
    tick
    # A start seen for the first time at the very end gets its second look.
    if [ "$left" -le 0 ] && { [ -z "$start" ] || [ "$left" -le -2 ]; }; then
        fail 5 "container $name was $how and is not up after $wait_s s (${state:-no answer}); look at: docker logs --tail 50 $name"
    fi
    if [ -n "$start" ]; then
        sleep 1
    else
        nap
    fi
done
tick
printf '%s container %s: running, after %s s\n' "$how" "$name" "$((now - began))"
