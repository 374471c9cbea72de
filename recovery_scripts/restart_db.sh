#!/bin/sh
# Restart a PostgreSQL server, or let it reload its configuration, and wait until it accepts connections. POSIX sh; see
# README.md in this folder.
set -eu

usage() {
    cat <<'END'
usage: restart_db.sh --unit UNIT | --container NAME | --cluster VERSION/NAME [options]

Restarts a PostgreSQL server by its own means (systemctl, docker restart, pg_ctlcluster) and waits until
pg_isready says that it accepts connections. It is never killed and none of its files is touched. A server
that is starting up, recovering or shutting down is waited for and not restarted, since a restart would
make its recovery begin anew. Where pg_isready is missing, the state of the unit or container must do.

  --unit UNIT               a systemd service, such as postgresql@15-main
  --container NAME          a Docker container; pg_isready is asked inside it
  --cluster VERSION/NAME    a cluster of Debian's or Ubuntu's postgresql-common, such as 15/main
  --reload                  only reload the configuration; no connection is lost
  --force                   restart even a server that is starting up, recovering or shutting down
  --host HOST, --port PORT  where pg_isready asks, from this host; else $PGHOST and $PGPORT or the
                            defaults, the container itself, or the cluster's own port
  --stop-timeout SECONDS    of a container: as in restart_container.sh
  --data-dir FOLDER         the data folder on this host, to report how full its disk is; found by
                            itself with --cluster and, where Docker runs on this host, --container
  --wait SECONDS            for everything together (default 20)
  --dry-run                 print the commands, run none
  --help                    this text

exit status:
  0  restarted or reloaded, and accepting connections
  1  a command failed; its message is on stderr
  2  wrong usage
  3  no such unit, container or cluster; nothing was changed
  4  refused: masked, broken, disabled, paused, or still starting up; nothing was changed
  5  done, but not accepting connections within --wait
  6  a program is missing, or systemd or Docker does not answer; nothing was changed
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

kind='' name='' version='' cluster='' reload='' force='' host='' port='' stop_s='' data_dir='' wait_s=20
while [ $# -gt 0 ]; do
    option='' value=''
    case $1 in
        --help | -h) usage; exit 0 ;;
        --dry-run) dry_run=yes ;;
        --reload) reload=yes ;;
        --force) force=yes ;;
        --unit | --container | --cluster | --host | --port | --stop-timeout | --data-dir | --wait)
            [ $# -ge 2 ] || usage_error "$1 needs a value"
            option=$1 value=$2
            shift ;;
        --unit=* | --container=* | --cluster=* | --host=* | --port=* | --stop-timeout=* | --data-dir=* | --wait=*)
            option=${1%%=*} value=${1#*=} ;;
        -*) unknown_option "$1" ;;
        *) usage_error "an argument too many: name the server by --unit, --container or --cluster" ;;
    esac
    shift
    case $option in
        --unit | --container | --cluster)
            [ -z "$kind" ] || usage_error "--unit, --container and --cluster exclude each other"
            kind=${option#--} name=$value ;;
    esac
    case $option in
        --unit) checked_name --unit "$value" '@:' ;;
        --container) checked_name --container "$value" ;;
        --cluster)
            case $value in
                */*/*) usage_error "--cluster is VERSION/NAME, as in 15/main" ;;
                [0-9]*/?*) version=${value%%/*} cluster=${value#*/} ;;
                *) usage_error "--cluster is VERSION/NAME, as in 15/main" ;;
            esac
            case $version in *[!0-9.]*) usage_error "--cluster is VERSION/NAME, as in 15/main" ;; esac
            checked_name "the version of --cluster" "$version"
            checked_name "the name of --cluster" "$cluster" ;;
        --host)
            # A name, an address, or the folder of the socket; never a connection string.
            case $value in
                /*) checked_name --host "${value#/}" /: ;;
                ::?*) checked_name --host "${value#::}" : ;;
                *) checked_name --host "$value" : ;;
            esac
            host=$value ;;
        --port)
            case $value in
                [1-9] | [1-9][0-9] | [1-9][0-9][0-9] | [1-9][0-9][0-9][0-9] | [1-5][0-9][0-9][0-9][0-9] | 6[0-5][0-9][0-9][0-9]) ;;
                *) usage_error "--port is a number from 1 to 65535" ;;
            esac
            [ "$value" -le 65535 ] || usage_error "--port is a number from 1 to 65535"
            port=$value ;;
        --stop-timeout) checked_seconds --stop-timeout "$value"; stop_s=$value ;;
        --data-dir)
            case $value in
                /?*) checked_name --data-dir "${value#/}" '/@:+' ;;
                *) usage_error "--data-dir is an absolute path" ;;
            esac
            data_dir=$value ;;
        --wait) checked_seconds --wait "$value"; wait_s=$value ;;
    esac
done
if [ -n "$stop_s" ]; then
    [ "$kind" = container ] || usage_error "--stop-timeout is for --container"
    [ "$stop_s" -lt "$wait_s" ] || usage_error "--stop-timeout must be shorter than --wait"
fi
case $kind in
    unit)
        # Anything but a service is refused: `systemctl restart reboot.target` is not a recovery.
        case $name in
            *@ | *@.service) usage_error "--unit is a template: name an instance, as in postgresql@15-main" ;;
            *.service) ;;
            *.socket | *.target | *.timer | *.path | *.mount | *.automount | *.swap | *.slice | *.scope | *.device)
                usage_error "--unit must be a service" ;;
            *) name=$name.service ;;
        esac
        server=$name
        hint="journalctl -u $name -n 50" ;;
    container)
        server="container $name"
        hint="docker logs --tail 50 $name" ;;
    cluster)
        server="cluster $name"
        hint="the newest lines of the log that pg_lsclusters names" ;;
    *) usage_error "which server? name it by --unit, --container or --cluster" ;;
esac
[ -z "$reload" ] || [ -z "$force" ] || usage_error "--reload and --force exclude each other"

# look_at_…: the server, without changing anything. $up is yes or no.
look_at_unit() {
    load='' active='' up=no
    bounded 4 systemctl --no-ask-password show --property=LoadState,ActiveState -- "$name" || return
    while IFS='=' read -r key value; do
        case $key:$value in
            LoadState:*) load=$value ;;
            ActiveState:*) active=$value ;;
        esac
    done <<END
$output
END
    [ "$active" != active ] || up=yes
}

look_at_container() {
    id='' found='' state='' up=no mounted='' mounted_above=''
    bounded 4 docker container inspect --format \
        'defib|{{.Id}}|{{.Name}}|{{.State.Status}}|{{range .Mounts}}{{if eq .Destination "/var/lib/postgresql/data"}}{{.Source}}{{end}}{{end}}|{{range .Mounts}}{{if eq .Destination "/var/lib/postgresql"}}{{.Source}}{{end}}{{end}}' \
        -- "$name" || return
    while IFS='|' read -r tag a b c d e; do
        [ "$tag" != defib ] || id=$a found=${b#/} state=$c mounted=$d mounted_above=$e
    done <<END
$output
END
    [ "$state" != running ] || up=yes
}

look_at_cluster() {
    up=no
    bounded 4 pg_lsclusters -h "$version" "$cluster" || return
    while read -r a b _ c _ d log; do
        [ "$a/$b" = "$name" ] || continue
        case $c in online*) up=yes ;; esac
        data_dir=${data_dir:-$d}
        hint="tail -n 50 $log"
    done <<END
$output
END
}

# act: the one command that changes something.
act() {
    case $kind:$reload in
        unit:) bounded "$left" systemctl --no-ask-password restart -- "$name" ;;
        unit:yes) bounded "$left" systemctl --no-ask-password reload -- "$name" ;;
        container:) bounded "$left" docker restart ${stop_s:+-t "$stop_s"} -- "$name" ;;
        container:yes) bounded "$left" docker exec --user postgres -- "$name" pg_ctl reload -s ;;
        cluster:) bounded "$left" pg_ctlcluster "$version" "$cluster" restart ;;
        cluster:yes) bounded "$left" pg_ctlcluster "$version" "$cluster" reload ;;
    esac
}

reset_failed() {
    bounded 4 systemctl --no-ask-password reset-failed -- "$name"
}

# ask: $answer is accepting, rejecting (starting up, recovering, shutting down), none, or unknown (no pg_isready). It goes
# by the text: a status of 1 is also what `docker exec` and Debian's wrapper say when they could not ask at all.
ask() {
    if [ -z "$host$port" ] && [ "$kind" = container ]; then
        bounded 4 docker exec -- "$name" pg_isready -t 2 || :
    elif [ -z "$host$port" ] && [ "$kind" = cluster ]; then
        bounded 4 pg_isready --cluster "$name" -t 2 || :
    elif [ -n "$dry_run" ] || command -v pg_isready >/dev/null 2>&1; then
        bounded 4 pg_isready ${host:+-h "$host"} ${port:+-p "$port"} -t 2 || :
    else
        output='pg_isready: not found'
    fi
    case $output in
        *"accepting connections"*) answer=accepting ;;
        *"rejecting connections"*) answer=rejecting ;;
        *pg_isready*"not found"*) answer=unknown ;;
        *) answer=none ;;
    esac
}

# disk: how full the disk of the data folder is, in $disk; nothing where that cannot be told.
disk() {
    disk=''
    [ -n "$data_dir" ] || return 0
    [ -n "$dry_run" ] || [ -d "$data_dir" ] || return 0
    bounded 2 df -P "$data_dir" || return 0
    disk=$(printf '%s\n' "$output" | awk 'NR == 2 && $(NF - 1) ~ /^[0-9]+%$/ { print "; the disk of its data is " $(NF - 1) " full" }')
}

if [ -n "$dry_run" ]; then
    left=$wait_s
    note='must exist and allow it' "look_at_$kind"
    if [ -z "$reload$force" ]; then
        note='while it rejects connections it is waited for and not restarted' ask
    fi
    if [ "$kind$reload" = unit ]; then
        note='only if the unit is in state failed' reset_failed
    fi
    note='' act
    note="until it accepts connections, at most $wait_s s from the beginning" ask
    if [ -n "$data_dir" ] || [ "$kind" = unit ]; then
        note='to report how full the disk is' disk
    else
        printf '# df -P of its data folder, where that is on this host, to report how full the disk is\n'
    fi
    exit 0
fi

need timeout "install coreutils"
tick
began=$now
deadline=$((now + wait_s))

case $kind in
    unit)
        need systemctl "this machine does not run its services by systemd; use --cluster or --container"
        look_at_unit || fail 6 "systemd did not answer ($(said)): is it running here, and may this user talk to it?"
        case $load in
            loaded) ;;
            not-found) fail 3 "unit $name is not loaded: no such unit; compare: systemctl list-unit-files 'postgres*'" ;;
            masked) fail 4 "unit $name is masked, somebody wants it off; to allow it again: systemctl unmask $name" ;;
            *) fail 4 "unit $name is not loaded (load state '$load'); look at: systemd-analyze verify $name" ;;
        esac ;;
    container)
        need docker "install Docker's command line, or put it on the PATH"
        look_at_container || {
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
        case ${DOCKER_CONTEXT:-}:${DOCKER_HOST:-} in
            : | :unix:*) data_dir=${data_dir:-${mounted:-$mounted_above}} ;;
        esac ;;
    cluster)
        need pg_lsclusters "install postgresql-common, or use --unit or --container"
        need pg_ctlcluster "install postgresql-common, or use --unit or --container"
        look_at_cluster || {
            case $?:$output in
                124:*) fail 6 "pg_lsclusters did not answer within 4 s; is the disk of /etc/postgresql or of the data stuck?" ;;
                *"does not exist"*) fail 3 "no cluster $name; compare: pg_lsclusters" ;;
                *) fail 6 "pg_lsclusters did not answer ($(said)); try it by hand" ;;
            esac
        } ;;
esac

if [ -z "$reload$force" ]; then
    ask
    waited=''
    while [ "$answer" = rejecting ]; do
        waited=yes
        tick
        if [ "$left" -le 0 ]; then
            disk
            fail 4 "$server rejects connections: it is starting up, recovering or shutting down, and a restart would make that begin anew$disk; wait, or add --force; look at: $hint"
        fi
        nap
        ask
    done
    if [ -n "$waited" ] && [ "$answer" = accepting ]; then
        tick
        disk
        printf '%s was starting up and needed no restart: accepting connections, after %s s%s\n' "$server" "$((now - began))" "$disk"
        exit 0
    fi
fi

if [ "$kind$reload" = unit ] && [ "$active" = failed ]; then
    reset_failed || fail 1 "cannot reset $server: $(said); run Defib as root, or allow it in polkit (README.md, Rights)"
fi

done_what=restarted verb=restart
[ -z "$reload" ] || done_what=reloaded verb=reload
tick
act || {
    act_status=$? act_output=$output
    disk
    output=$act_output
    case $kind:$act_status:$output in
        # Killed while it waited, pg_ctlcluster may have stopped the server and not started it again.
        cluster:124:*) fail 5 "$server is not $done_what after $wait_s s$disk; see whether it is down: pg_lsclusters $version $cluster" ;;
        unit:124:* | container:124:*) fail 5 "$server is not $done_what after $wait_s s$disk; look at: $hint" ;;
        cluster:*"Cluster is disabled"*) fail 4 "$server is disabled; to allow it again, edit /etc/postgresql/$name/start.conf" ;;
        *"authentication required"* | *"ccess denied"* | *"ermission denied"* | *"not permitted"* | *"must run this program as"*)
            fail 1 "cannot $verb $server: $(said); run Defib with the rights for it (README.md, Rights)" ;;
        *) fail 1 "cannot $verb $server: $(said)$disk; look at: $hint" ;;
    esac
}

while :; do
    ask
    case $answer in
        accepting)
            result='accepting connections'
            break ;;
        unknown)
            if "look_at_$kind" && [ "$up" = yes ]; then
                result='running (pg_isready is missing, so whether it accepts connections is not known)'
                break
            fi ;;
    esac
    tick
    if [ "$left" -le 0 ]; then
        disk
        [ "$answer" != rejecting ] || fail 5 "$server was $done_what and is still starting up or recovering after $wait_s s$disk; give it time; look at: $hint"
        fail 5 "$server was $done_what and accepts no connections after $wait_s s$disk; look at: $hint"
    fi
    nap
done
tick
disk
printf '%s %s: %s, after %s s%s\n' "$done_what" "$server" "$result" "$((now - began))" "$disk"
