#!/bin/sh
# Restart the systemd unit of an agent and wait until it stays up. POSIX sh; see README.md in this folder.
set -eu

usage() {
    cat <<'END'
usage: restart_agent.sh NAME [--unit-prefix PREFIX] [options]
       restart_agent.sh [NAME] --unit UNIT [options]

Restarts the systemd unit of the agent NAME, by default openclaw-NAME.service, and waits until it is
active and stays so for a second. A unit in state failed is reset first (reset-failed), so that the
start limit does not hold it back. A unit that is masked or not loaded is never started.

  --unit UNIT           exactly this unit; only services
  --unit-prefix PREFIX  PREFIXNAME.service; else $DEFIB_AGENT_UNIT_PREFIX, else openclaw-
  --user                a unit of the calling user's systemd instead of the system's
  --wait SECONDS        for the restart and until it is up, together (default 20)
  --dry-run             print the commands, run none
  --help                this text

exit status:
  0  restarted and up
  1  a command failed; its message is on stderr
  2  wrong usage
  3  systemd knows no such unit; nothing was changed
  4  refused: the unit is masked or its file is broken; nothing was changed
  5  restarted, but not up within --wait
  6  a program is missing or systemd does not answer; nothing was changed
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

name='' unit='' prefix='' user='' wait_s=20
while [ $# -gt 0 ]; do
    option='' value=''
    case $1 in
        --help | -h) usage; exit 0 ;;
        --dry-run) dry_run=yes ;;
        --user) user=yes ;;
        --unit | --unit-prefix | --wait)
            [ $# -ge 2 ] || usage_error "$1 needs a value"
            option=$1 value=$2
            shift ;;
        --unit=* | --unit-prefix=* | --wait=*) option=${1%%=*} value=${1#*=} ;;
        -*) unknown_option "$1" ;;
        *)
            [ -z "$name" ] || usage_error "more than one NAME"
            checked_name NAME "$1"
            name=$1 ;;
    esac
    shift
    case $option in
        --unit) checked_name --unit "$value" '@:'; unit=$value ;;
        --unit-prefix) checked_name --unit-prefix "$value" '@:'; prefix=$value ;;
        --wait) checked_seconds --wait "$value"; wait_s=$value ;;
    esac
done
if [ -n "$unit" ]; then
    [ -z "$prefix" ] || usage_error "--unit and --unit-prefix exclude each other"
    # Anything but a service is refused: `systemctl restart reboot.target` is not a recovery.
    case $unit in
        *@ | *@.service) usage_error "--unit is a template: name an instance, as in agent@main" ;;
        *.service) ;;
        *.socket | *.target | *.timer | *.path | *.mount | *.automount | *.swap | *.slice | *.scope | *.device)
            usage_error "--unit must be a service" ;;
        *) unit=$unit.service ;;
    esac
else
    [ -n "$name" ] || usage_error "NAME is missing: which agent is to be restarted?"
    if [ -z "$prefix" ]; then
        prefix=${DEFIB_AGENT_UNIT_PREFIX:-openclaw-}
        checked_name DEFIB_AGENT_UNIT_PREFIX "$prefix" '@:'
    fi
    unit=$prefix$name.service
fi

manager="systemctl${user:+ --user}" journal="journalctl${user:+ --user} -u $unit -n 50"

# look: the unit's state, in $load, $active, $sub, $result, $pid and $invocation (another one after every start).
look() {
    load='' active='' sub='' result='' pid='' invocation=''
    bounded 4 systemctl ${user:+--user} --no-ask-password show \
        --property=LoadState,ActiveState,SubState,Result,MainPID,InvocationID -- "$unit" || return
    while IFS='=' read -r key value; do
        case $key in
            LoadState) load=$value ;;
            ActiveState) active=$value ;;
            SubState) sub=$value ;;
            Result) result=$value ;;
            MainPID) pid=$value ;;
            InvocationID) invocation=$value ;;
        esac
    done <<END
$output
END
}

reset_failed() {
    bounded 4 systemctl ${user:+--user} --no-ask-password reset-failed -- "$unit"
}

restart() {
    bounded "$left" systemctl ${user:+--user} --no-ask-password restart -- "$unit"
}

# command_failed WHAT
command_failed() {
    case $output in
        *"authentication required"* | *"ccess denied"* | *"ermission denied"* | *"not permitted"*)
            fail 1 "cannot $1 $unit: $(said); run Defib as root, or allow it in polkit (README.md, Rights)" ;;
    esac
    fail 1 "cannot $1 $unit: $(said); look at: $journal"
}

if [ -n "$dry_run" ]; then
    left=$wait_s
    note='must be loaded and not masked' look
    note='only if the unit is in state failed' reset_failed
    note='' restart
    note="until it is active and stays so, at most $wait_s s from the beginning" look
    exit 0
fi

need timeout "install coreutils"
need systemctl "this machine does not run its services by systemd; use another script or rung"
tick
began=$now
deadline=$((now + wait_s))

look || fail 6 "systemd did not answer ($(said)): is it running here, and may this user talk to it?"
case $load in
    loaded) ;;
    not-found) fail 3 "unit $unit is not loaded: no such unit; compare: $manager list-unit-files --type=service" ;;
    masked) fail 4 "unit $unit is masked, somebody wants it off; to allow it again: $manager unmask $unit" ;;
    bad-setting | error) fail 4 "unit $unit is not loaded: its file is broken; look at: systemd-analyze verify $unit" ;;
    *) fail 4 "unit $unit is not loaded (load state '$load'); look at: $manager status $unit" ;;
esac

if [ "$active" = failed ]; then
    reset_failed || command_failed reset
fi

tick
restart || {
    [ $? -ne 124 ] || fail 5 "unit $unit is not restarted after $wait_s s; systemd goes on trying; look at: $journal"
    command_failed restart
}

# Up is: active in two looks a second apart, and the same start both times. A service of Type=simple counts as active
# the moment it is forked, even if it dies right after.
seen=''
while :; do
    start=''
    if look; then
        case $active in
            active)
                start="start $invocation $pid"
                [ "$start" != "$seen" ] || break ;;
            failed | inactive)
                fail 5 "unit $unit was restarted and ended at once ($active, result '$result'); look at: $journal" ;;
        esac
    fi
    seen=$start
    tick
    # A start seen for the first time at the very end gets its second look.
    if [ "$left" -le 0 ] && { [ -z "$start" ] || [ "$left" -le -2 ]; }; then
        fail 5 "unit $unit was restarted and is not up after $wait_s s (${active:-no answer}${sub:+, $sub}); look at: $journal"
    fi
    if [ -n "$start" ]; then
        sleep 1
    else
        nap
    fi
done
tick
case $pid in '' | 0) process='' ;; *) process=", process $pid" ;; esac
printf 'restarted %s: active%s, after %s s\n' "$unit" "$process" "$((now - began))"
