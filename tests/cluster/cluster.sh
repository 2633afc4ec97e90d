# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by tests: a cluster on this machine, four hosts and a spare, with a real Slurm over them.
#
#     . tests/cluster/cluster.sh
#     cluster_missing && skip...       what is missing here, or nothing
#     cluster_enter "$@"               starts the script anew inside the cluster's own namespaces
#     cluster_up                       hosts hd (controller) and nn1..nn5, partitions low and high
#     cluster_submit, cluster_wait ... see below
#
# A host is a network namespace with a host name, hosts file and node directory of its own, so that ranks share
# memory within a host and talk TCP between hosts, as in life. Packets cross a bridge in the
# namespace of hd, where links are cut and slowed.
#
# Nothing of it outlives the test, however that ends: all processes live in one process namespace,
# which the kernel empties when the script or its parent dies; mounts, links and files (on a tmpfs at
# /run) live in namespaces that go with it. So two clusters on one machine never meet either.

cluster_nodes=(nn1 nn2 nn3 nn4 nn5)
cluster_dir=/run/cluster

cluster_missing() {
    local tool
    ((EUID == 0)) || { echo "needs root, to make hosts of network namespaces"; return; }
    for tool in slurmctld slurmd srun sbatch munged ip tc nsenter unshare; do
        command -v "$tool" >/dev/null || { echo "needs $tool (scripts/setup.sh --cluster)"; return; }
    done
    unshare --net --uts --mount --pid --fork true 2>/dev/null || echo "may not make namespaces here"
}

# Runs the calling script again, as the first process of namespaces of its own.
cluster_enter() {
    [[ ${TALKIE_CLUSTER:-} ]] && return
    TALKIE_CLUSTER=1 exec unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc bash "$0" "$@"
}

# cluster_on HOST COMMAND...: as the host's own process.
cluster_on() {
    local host=$1
    shift
    nsenter --net="/run/netns/$host" unshare --uts --mount bash -c '
        hostname "$1" && mount --bind "$2/hosts" /etc/hosts && mount -t tmpfs tmpfs /dev/shm && shift 2 &&
        exec "$@"' _ \
        "$host" "$cluster_dir" "$@"
}

# cluster_ask COMMAND...: a question to the controller, by its address: nothing of a host is needed but its network,
# and making the rest takes longer than most answers.
cluster_ask() { nsenter --net=/run/netns/hd "$@"; }

cluster_links() { # hosts' cables into the bridge of hd
    local host n=1
    ip netns add hd
    ip -n hd link set lo up
    ip -n hd link add br0 type bridge
    ip -n hd addr add 10.77.0.1/24 dev br0
    ip -n hd link set br0 up
    echo '127.0.0.1 localhost' >"$cluster_dir/hosts"
    echo '10.77.0.1 hd' >>"$cluster_dir/hosts"
    for host in "${cluster_nodes[@]}"; do
        n=$((n + 1))
        ip netns add "$host"
        ip -n "$host" link set lo up
        ip -n hd link add "to-$host" type veth peer name eth0 netns "$host"
        ip -n hd link set "to-$host" master br0 up
        ip -n "$host" addr add "10.77.0.$n/24" dev eth0
        ip -n "$host" link set eth0 up
        echo "10.77.0.$n $host" >>"$cluster_dir/hosts"
    done
}

# Times are short, so that a test need not wait: a silent node is down after SlurmdTimeout, and a
# requeued job may start again once its old credentials have expired (cred_expire).
cluster_config() {
    cat >"$cluster_dir/slurm.conf" <<END_OF_CONFIG
ClusterName=talkie
SlurmctldHost=hd(10.77.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster_dir/munge/socket,cred_expire=5
CredType=cred/munge
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
TaskPluginParam=autobind=cores
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdParameters=config_overrides
SlurmctldParameters=idle_on_node_suspend
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=100000,batch_sched_delay=0
SlurmctldTimeout=10
SlurmdTimeout=6
TCPTimeout=2
MessageTimeout=5
KillWait=8
InactiveLimit=0
StateSaveLocation=$cluster_dir/state
SlurmctldPidFile=$cluster_dir/slurmctld.pid
SlurmctldLogFile=$cluster_dir/log/slurmctld
SlurmctldDebug=info
SlurmdSpoolDir=$cluster_dir/%n/spool
SlurmdPidFile=$cluster_dir/%n/pid
SlurmdLogFile=$cluster_dir/log/%n
TmpFS=$cluster_dir/%n/tmp
NodeName=nn[1-5] CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=low Nodes=nn[1-5] Default=YES PriorityTier=1 GraceTime=60
PartitionName=high Nodes=nn[1-5] PriorityTier=10 PreemptMode=OFF
END_OF_CONFIG
    export SLURM_CONF=$cluster_dir/slurm.conf
}

cluster_up() {
    local host
    mount -t tmpfs tmpfs /run
    mkdir -p "$cluster_dir"/{log,state,munge,work,tmp}
    export TMPDIR=$cluster_dir/tmp # of two clusters, processes have the same numbers
    ip link set lo up
    cluster_links
    cluster_config
    (umask 077 && head -c 1024 /dev/urandom >"$cluster_dir/munge/key")
    cluster_on hd munged --force --key-file="$cluster_dir/munge/key" --socket="$cluster_dir/munge/socket" \
        --pid-file="$cluster_dir/munge/pid" --log-file="$cluster_dir/log/munged" \
        --seed-file="$cluster_dir/munge/seed" || return
    cluster_on hd slurmctld || return
    for host in "${cluster_nodes[@]}"; do
        mkdir -p "$cluster_dir/$host"/{spool,tmp}
        cluster_on "$host" slurmd -N "$host" || return
    done
    unset OMPI_MCA_pml OMPI_MCA_btl OMPI_MCA_osc # of tests inside one host
    # What the ranks of all hosts share here: the cores. Waiting ranks must give them up.
    export OMPI_MCA_mpi_yield_when_idle=1
    cluster_until 20 cluster_idle || { cluster_logs; return 1; }
}

cluster_idle() { [[ $(cluster_ask sinfo -h -N -p low -o %T | sort | uniq -c | xargs) == '5 idle' ]]; }

cluster_quiet() { [[ ! $(cluster_ask squeue -h) ]]; } # no job waits or runs

# cluster_until SECONDS COMMAND...: tries until the command succeeds, five times for each second: a loaded machine, whose
# commands take long themselves, has longer, and a clock that is set means nothing.
cluster_until() {
    local tries=$((5 * $1))
    shift
    until "$@" 2>/dev/null; do
        ((tries-- > 0)) || return 1
        sleep 0.2
    done
}

# cluster_submit SBATCH-ARGUMENT...: prints the number of the job.
cluster_submit() { (cd "$cluster_dir/work" && cluster_on hd sbatch --parsable "$@"); }

# cluster_job JOB FIELD: of the job's description, as in JobState, Restarts, BatchHost.
cluster_job() {
    cluster_ask scontrol show job -o "$1" | head -n 1 | sed -nE "s/.*(^| )$2=([^ ]*).*/\2/p"
}

cluster_is() { [[ $(cluster_job "$1" "$2") == "$3" ]]; }

# cluster_finished JOB: over, whichever way.
cluster_finished() {
    case $(cluster_job "$1" JobState) in
        COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL | OUT_OF_MEMORY | DEADLINE | BOOT_FAIL) ;;
        *) return 1 ;;
    esac
}

cluster_cut() { ip -n hd link set "to-$1" down; }
cluster_mend() { ip -n hd link set "to-$1" up; }
# cluster_slow HOST RATE: of what the host receives, as in 20mbit. (A filter every kernel has; netem is rarer.)
cluster_slow() { tc -n hd qdisc replace dev "to-$1" root tbf rate "$2" burst 32kb latency 10s; }
cluster_quick() { tc -n hd qdisc del dev "to-$1" root; }

cluster_logs() {
    local log
    for log in "$cluster_dir"/log/* "$cluster_dir"/work/*.log; do
        [[ -s $log ]] || continue
        echo "--- $log"
        tail -n 25 "$log"
    done
}
