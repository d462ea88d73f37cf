#!/bin/bash
# A real Slurm on this one machine, for tests: munge, slurmctld and slurmd as root, no accounting.
#
#   tools/slurm_one_node.sh start DIR    install if need be, start, print the line to export
#   tools/slurm_one_node.sh stop DIR     end what `start` started
#
# Needs root on Debian or Ubuntu. Everything it writes besides the packages is in DIR.
set -euo pipefail

action=${1:?start or stop}
dir=$(realpath -m "${2:?a directory for configuration, state and logs}")
export SLURM_CONF=$dir/slurm.conf

if [ "$action" = stop ]; then
    for daemon in slurmd slurmctld munged; do
        if [ -s "$dir/$daemon.pid" ]; then kill "$(cat "$dir/$daemon.pid")" 2>/dev/null || true; fi
    done
    exit 0
fi

[ "$(id -u)" = 0 ] || { echo "slurm_one_node: must be root" >&2; exit 1; }
if ! command -v slurmctld slurmd munged >/dev/null; then
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >&2
fi
mkdir -p "$dir/state" "$dir/spool" "$dir/log"
node=$(hostname -s)
cpus=$(nproc)
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)

# A munge of our own: key, socket and log in DIR, so that an installed one is left alone.
chmod 755 "$dir"
if [ ! -s "$dir/munge.key" ]; then
    dd if=/dev/urandom of="$dir/munge.key" bs=1 count=1024 status=none
    chmod 600 "$dir/munge.key"
fi

# cred_expire: a requeued job waits for it to pass; 120 s by default.
# Two tiers over the same node: a job in `high` preempts one in `low`, which is warned and requeued.
cat >"$dir/slurm.conf" <<CONF
ClusterName=bench
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=${SLURM_TEST_PORT:-16817}
SlurmdPort=$((${SLURM_TEST_PORT:-16817} + 1))
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_min_interval=200000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=10
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=low Nodes=$node Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=high Nodes=$node MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
CONF

munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/munged.seed" --num-threads=2 >&2
slurmctld -c -f "$SLURM_CONF"
slurmd -c -f "$SLURM_CONF"
for _ in $(seq 60); do
    if [ "$(sinfo --noheader --format=%T --partition=low 2>/dev/null)" = idle ]; then
        echo "export SLURM_CONF=$SLURM_CONF"
        exit 0
    fi
    sleep 0.5
done
echo "slurm_one_node: no idle node after 30 s; see $dir/log" >&2
tail -n 5 "$dir"/log/*.log >&2
exit 1
