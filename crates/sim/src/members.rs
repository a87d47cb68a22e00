//! The world and the real consensus: what members tell reaches their replicas, and is compared with what all others have told.

use bytes::Bytes;
use skep_partition::{ConsensusEvent, Event, LocalPosition, Unproposed};
use skep_state::MemoryStore;
use xxhash_rust::xxh3::xxh3_64;

use crate::cluster::{Mail, Stored};
use crate::invariants::equal_states::Depth;
use crate::violation::{Check, Violation};
use crate::world::{Place, Step, World};

/// Milliseconds between two looks at the logs of all members.
const LOOK_MS: i64 = 700;

/// Milliseconds that a leader may count as one after another has been elected: longer than any lease with the time to notice.
const LEASE_MS_MAX: i64 = 4_000;

/// Milliseconds after which a pause is looked at again: all may end before their time.
const PAUSE_LOOK_MS: i64 = 500;

/// Milliseconds that a replica may be behind what it is told.
const LAG_MS_MAX: i64 = 2_000;

impl World {
    /// Lets the real consensus go on until a time. Takes in what it has to say, if anything.
    pub fn open_mail(&mut self, until: i64) -> Check<bool> {
        let Some(cluster) = &mut self.cluster else {
            return Ok(false);
        };
        let (now, mail) = cluster.run_until(until)?;
        self.now = self.now.max(now);
        let any = !mail.is_empty();
        for mail in mail {
            self.take_mail(mail)?;
        }
        Ok(any)
    }

    fn take_mail(&mut self, mail: Mail) -> Check {
        match mail {
            Mail::NotOpened(place, life, _)
            | Mail::Told(place, life, ConsensusEvent::Failed { .. })
                if self.alive(place, life) && self.disk_has_failed(place.node) =>
            {
                self.stop_failed(place.node)
            }
            Mail::Told(place, life, event) if self.alive(place, life) => self.told(place, event),
            Mail::Asked(place, life, event) if self.alive(place, life) => {
                self.host(place).told.push_back(event);
                self.hear_soon(place);
                Ok(())
            }
            Mail::Installed(place, life, at, unsynced) => {
                self.installed(place, life, at, unsynced);
                Ok(())
            }
            Mail::Opened(place, life, member) if self.alive(place, life) => {
                self.digest_of(&[self.now as u64, 1]);
                if let Some(cluster) = &mut self.cluster {
                    cluster.opened(place, member);
                }
                self.host(place).state_lost = false;
                self.hear_soon(place);
                Ok(())
            }
            Mail::NotOpened(place, life, error) if self.alive(place, life) => {
                Err(Violation::new("start", format!("{place:?}: {error}")))
            }
            Mail::Crash(node, life) => {
                let place = Place { partition: 0, node };
                if !self.alive(place, life) {
                    return Ok(());
                }
                self.note(|| format!("node {node} is at a bad moment"));
                self.crash_for_a_while(node)
            }
            Mail::Found(violation) => Err(violation),
            _ => Ok(()),
        }
    }

    fn disk_has_failed(&self, node: usize) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.is_some_and(|cluster| cluster.has_failed(node))
    }

    /// A node whose disk has failed to sync stops, and is started again after a while.
    pub fn stop_failed(&mut self, node: usize) -> Check {
        if !self.disk_has_failed(node) {
            return Ok(());
        }
        self.counts.syncs_failed += 1;
        self.note(|| format!("the disk of node {node} has failed to sync"));
        self.crash_for_a_while(node)
    }

    /// A member tells its replica something; it is heard a while later.
    fn told(&mut self, place: Place, event: ConsensusEvent) -> Check {
        let now = self.now as u64;
        match &event {
            ConsensusEvent::Committed { index, term, entry } => {
                self.digest_of(&[now, 2, index.0, *term, xxh3_64(entry)]);
                self.agree(place, index.0, *term, entry)?;
            }
            ConsensusEvent::BecameLeader { term } => {
                self.digest_of(&[now, 3, *term]);
                self.elected(place, *term)?;
            }
            ConsensusEvent::LostLeadership { term } => {
                self.digest_of(&[now, 4, *term]);
                self.note(|| format!("{place:?} is leader of term {term} no more"));
                self.host(place).leads_term = 0;
            }
            ConsensusEvent::ProposalRefused { why, reason } => {
                self.digest_of(&[now, 5]);
                self.note(|| format!("{place:?}: a proposal is refused, {why:?}: {reason}"));
            }
            ConsensusEvent::Replaced { index, term } => {
                self.digest_of(&[now, 7, index.0, *term]);
                self.note(|| format!("{place:?} has content up to entry {}", index.0));
                let held = &self.partitions[place.partition];
                held.logs.replaced(held.id, place.node, (index.0, *term))?;
            }
            ConsensusEvent::Failed { message } => {
                self.digest_of(&[now, 6]);
                self.note(|| format!("{place:?}: consensus has failed: {message}"));
            }
        }
        self.host(place).told.push_back(Event::Consensus(event));
        self.hear_soon(place);
        Ok(())
    }

    /// A replica's store has been given other content, which is there after a crash as well.
    fn installed(
        &mut self,
        place: Place,
        life: u64,
        at: LocalPosition,
        unsynced: Option<MemoryStore>,
    ) {
        self.note(|| {
            format!(
                "the store of {place:?} is given content up to entry {}",
                at.index
            )
        });
        self.counts.installed += 1;
        let alive = self.alive(place, life);
        let host = self.host(place);
        host.installed = Some(at.index);
        host.replaced_unheard = alive;
        host.unsynced = unsynced.filter(|_| alive);
    }

    fn elected(&mut self, place: Place, term: u64) -> Check {
        self.note(|| format!("{place:?} is elected for term {term}"));
        self.counts.elections += 1;
        let partition = &mut self.partitions[place.partition];
        partition.leaders.elected(partition.id, term, place.node)?;
        partition.hosts[place.node].leads_term = term;
        for node in 0..self.nodes.len() {
            let other = Place { node, ..place };
            let (leads, life) = (self.host(other).leads_term, self.host(other).life);
            if node == place.node || leads == 0 {
                continue;
            }
            // One that is followed again may have been followed upon meanwhile, and be told late.
            let earlier = match leads < term {
                true => Step::LeaseOver(other, life, leads),
                false => Step::LeaseOver(place, self.host(place).life, term),
            };
            self.schedule(LEASE_MS_MAX, earlier);
        }
        self.look_at_partition(place.partition)
    }

    /// The leader of a later term was elected a while ago: whoever leads an earlier one counts as leader no more.
    pub fn lease_over(&mut self, place: Place, life: u64, term: u64) -> Check {
        if !self.alive(place, life) || self.host(place).leads_term != term {
            return Ok(());
        }
        Err(Violation::new(
            "lease",
            format!(
                "{place:?} counts as leader of term {term}, {LEASE_MS_MAX} ms after that of a later one was elected"
            ),
        ))
    }

    /// A member says that an entry is committed.
    fn agree(&mut self, place: Place, index: u64, term: u64, entry: &Bytes) -> Check {
        let nodes = 0..self.nodes.len();
        let logs = nodes.map(|node| self.cluster.as_ref()?.log(Place { node, ..place }));
        let logs: Vec<_> = logs.collect();
        let partition = &mut self.partitions[place.partition];
        let id = partition.id;
        let is_new = partition
            .logs
            .committed(id, place.node, (index, term), entry, &logs)?;
        // The first entry says who the members are; the reference begins after it.
        if is_new && index > 0 {
            self.follow(place.partition, entry)?;
        }
        Ok(())
    }

    /// A replica proposes an entry. Now and then too much is on its way for it to be taken.
    pub fn propose_for_real(&mut self, place: Place, entry: Bytes) {
        if self.random.chance(self.rates.proposal_refused) {
            self.note(|| format!("{place:?}: a proposal is too much"));
            let host = self.host(place);
            host.told
                .push_back(Event::Consensus(ConsensusEvent::ProposalRefused {
                    why: Unproposed::TooMuch,
                    reason: "simulated".to_owned(),
                }));
            return self.hear_soon(place);
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.propose(place, entry);
        }
    }

    fn hear_soon(&mut self, place: Place) {
        let open = self.cluster.as_ref().is_some_and(|all| all.is_open(place));
        let host = self.host(place);
        if !open || host.told.is_empty() || host.delivering {
            return;
        }
        host.delivering = true;
        let life = host.life;
        let lag = self.lag(place).min(LAG_MS_MAX);
        self.schedule(lag, Step::Deliver(place, life));
    }

    /// A replica hears the next things that it was told.
    pub fn hear(&mut self, place: Place, most: u64) -> Check {
        for _ in 0..most {
            let Some(event) = self.host(place).told.pop_front() else {
                break;
            };
            let Event::Consensus(told) = &event else {
                self.handle(place, event)?;
                continue;
            };
            let host = self.host(place);
            match told {
                ConsensusEvent::BecameLeader { term } => host.told_term = *term,
                ConsensusEvent::LostLeadership { .. } => host.told_term = 0,
                ConsensusEvent::Replaced { .. } => host.replaced_unheard = false,
                _ => {}
            }
            let applies = matches!(told, ConsensusEvent::Committed { .. });
            let replaced = matches!(told, ConsensusEvent::Replaced { .. });
            self.handle(place, event)?;
            if applies {
                self.check_applied(place)?;
            }
            if replaced {
                self.check_state(place, Depth::Content)?;
            }
        }
        self.hear_soon(place);
        Ok(())
    }

    /// Who leads a partition, as its replicas know.
    pub fn leader(&self, partition: usize) -> Option<usize> {
        let held = &self.partitions[partition];
        if self.cluster.is_none() {
            return held.group.leader;
        }
        let hosts = held.hosts.iter().enumerate();
        let leaders = hosts.filter(|(_, host)| host.replica.is_some() && host.told_term > 0);
        leaders
            .max_by_key(|(_, host)| host.told_term)
            .map(|(node, _)| node)
    }

    /// How far a replica has applied the log, or could have with the simulated consensus.
    pub fn applied(&self, place: Place) -> u64 {
        let held = &self.partitions[place.partition];
        match &held.hosts[place.node].replica {
            Some(replica) if self.cluster.is_some() => replica.inspect().log_id.index,
            _ => held.group.members[place.node].delivered,
        }
    }

    /// Whether a member votes, with the real consensus.
    pub fn votes(&self, place: Place) -> bool {
        let cluster = self.cluster.as_ref();
        cluster.is_none_or(|cluster| cluster.votes(place))
    }

    /// What the members of a partition know, where they differ from what is agreed; one line each.
    pub fn describe_members(&self, partition: usize) -> Vec<String> {
        let Some(cluster) = &self.cluster else {
            return Vec::new();
        };
        let places = (0..self.nodes.len()).map(|node| Place { partition, node });
        let line = |place| format!("\n  {place:?}: {}", cluster.describe(place));
        places.map(line).collect()
    }

    /// Some time after all faults were lifted, all partitions have leaders.
    pub fn check_leaders(&self) -> Check {
        let lacks = (0..self.partitions.len()).find(|partition| self.leader(*partition).is_none());
        match lacks {
            None => Ok(()),
            Some(partition) => Err(Violation::new(
                "liveness",
                format!(
                    "partition {} has no leader though all is well{}",
                    partition + 1,
                    self.describe_members(partition).concat()
                ),
            )),
        }
    }

    /// When to look again whether a node that stands still goes on; nothing if it does not stand still.
    pub fn paused(&self, node: usize) -> Option<i64> {
        let until = self.nodes[node].paused_until;
        (until > self.now).then_some(until.min(self.now + PAUSE_LOOK_MS))
    }

    /// A node's consensus stops at once.
    pub fn crash_consensus(&mut self, node: usize) {
        let now = self.now;
        self.note_whole(node);
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        for partition in 0..self.partitions.len() {
            let log = cluster.log(Place { partition, node });
            self.partitions[partition].logs.crashed(node, log.as_ref());
        }
        cluster.crash(node);
        self.nodes[node].paused_until = now;
    }

    /// A node's consensus starts, on what its replicas' stores hold.
    pub fn start_consensus(&mut self, node: usize, stored: Vec<Stored>) -> Check {
        let place = Place { partition: 0, node };
        let life = self.host(place).life;
        match &mut self.cluster {
            Some(cluster) => cluster.start(node, life, stored),
            None => Ok(()),
        }
    }

    /// Looks at all logs now and then, with the real consensus.
    pub fn watch_logs(&mut self) {
        if self.cluster.is_some() {
            self.schedule(LOOK_MS, Step::LookAtLogs);
        }
    }

    /// Compares what the logs of all members hold.
    pub fn look_at_logs(&mut self) -> Check {
        for partition in 0..self.partitions.len() {
            self.look_at_partition(partition)?;
        }
        self.watch_logs();
        Ok(())
    }

    fn look_at_partition(&mut self, partition: usize) -> Check {
        for node in 0..self.nodes.len() {
            self.note_whole(node);
            let place = Place { partition, node };
            let log = self.cluster.as_ref().and_then(|all| all.log(place));
            let held = &mut self.partitions[partition];
            if let Some(log) = log {
                held.logs.look(held.id, node, &log)?;
            }
        }
        Ok(())
    }
}
