//! Which replicas of a partition do what for a backup, and when it counts: one stores the content, the others read theirs meanwhile, and
//! when most of them have the same root hash, the one that stored it writes the manifest.
//!
//! A replica without the frozen content (it has restarted since, say) cannot agree, nor can one whose content differs, which is a fault and
//! told as one. A replica that cannot be reached is waited for as long as its vote is needed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use skep_config::UploadFrom;
use skep_protocol::NodeId;
use skep_protocol::node_message::{BackupStep, NodeAnswer, NodeRefusal};
use tokio::time::{Instant, interval, sleep};

/// How long a replica may take to say how far it is.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to write a manifest.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(60);
/// How long the replica that stores the content may be out of reach until another one does.
const STORER_PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to reach a replica.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How long others may take to agree with what is stored until the leader's vote is counted as well.
const SPARED_FOR: Duration = Duration::from_secs(2);
/// How often the leader looks whether it still is.
const LEADERSHIP_INTERVAL: Duration = Duration::from_millis(500);

/// The replicas of the partition, for one backup.
pub trait Replicas: Send + Sync {
    /// Whether the replica that sees to the backup still leads.
    fn leads(&self) -> bool;

    /// Asks a replica to do something, or how far it is. An error says that there is no answer.
    fn ask(
        &self,
        node: NodeId,
        step: BackupStep,
        patience: Duration,
    ) -> BoxFuture<'static, Result<NodeAnswer, String>>;

    /// A replica's content is not what it must be.
    fn differs(&self, node: NodeId);
}

/// What a replica says in the end.
#[derive(Debug, PartialEq, Eq)]
enum Vote {
    /// Its content has this root hash.
    Root([u8; 32]),
    /// It has none to tell, for that reason.
    None(String),
}

/// The agreement about one backup.
pub struct Agreement {
    replicas: Arc<dyn Replicas>,
    own: NodeId,
    nodes: Vec<NodeId>,
    from: UploadFrom,
}

type Votes = FuturesUnordered<BoxFuture<'static, (NodeId, Vote)>>;

impl Agreement {
    /// Not reached yet, between the replicas at `nodes`; the one at `own` leads.
    pub fn new(
        replicas: Arc<dyn Replicas>,
        own: NodeId,
        nodes: Vec<NodeId>,
        from: UploadFrom,
    ) -> Agreement {
        Agreement {
            replicas,
            own,
            nodes,
            from,
        }
    }

    /// Has the backup made, and ends when its manifest is written; or says why that is not possible.
    pub async fn reach(&self) -> Result<(), String> {
        let storers = self.storers();
        let mut failures = Vec::new();
        for storer in &storers {
            match self.reach_with(*storer).await {
                Ok(()) => return Ok(()),
                Err(failure) if storers.len() == 1 => return Err(failure),
                Err(failure) => failures.push(format!("Broker {storer}: {failure}")),
            }
            if !self.replicas.leads() {
                break;
            }
        }
        Err(failures.join("; "))
    }

    /// Who may store the content, in the order in which they are asked to.
    fn storers(&self) -> Vec<NodeId> {
        let followers = self.nodes.iter().filter(|node| **node != self.own);
        match self.from {
            UploadFrom::Leader => vec![self.own],
            UploadFrom::Follower => followers.chain([&self.own]).copied().collect(),
        }
    }

    /// With that replica storing the content.
    async fn reach_with(&self, storer: NodeId) -> Result<(), String> {
        // Where a follower stores it, the leader is spared unless its vote is needed.
        let mut reserve = (storer != self.own).then_some(self.own);
        let compared = |node: &&NodeId| **node != storer && reserve != Some(**node);
        let compared: Vec<NodeId> = self.nodes.iter().filter(compared).copied().collect();
        let mut votes: Votes = compared
            .into_iter()
            .map(|node| self.vote(node, BackupStep::Compare))
            .collect();
        let mut stored = self.vote(storer, BackupStep::Store);
        let mut root = None;
        let mut stored_at = Instant::now();
        let mut heard = Vec::new();
        let mut leadership = interval(LEADERSHIP_INTERVAL);
        let root = loop {
            if let Some(root) = root {
                let agree = heard.iter().filter(|(_, vote)| *vote == Vote::Root(root));
                let agreeing = 1 + agree.count();
                if agreeing > self.nodes.len() / 2 {
                    break root;
                }
                // One that cannot be reached may never be heard.
                let due = votes.is_empty() || stored_at.elapsed() > SPARED_FOR;
                if let Some(node) = reserve.take_if(|_| due) {
                    votes.push(self.vote(node, BackupStep::Compare));
                }
                if votes.is_empty() {
                    return Err(self.disagreement(root, agreeing, &heard));
                }
            }
            tokio::select! {
                (_, vote) = &mut stored, if root.is_none() => match vote {
                    Vote::Root(stored) => {
                        root = Some(stored);
                        stored_at = Instant::now();
                    }
                    Vote::None(reason) => return Err(reason),
                },
                Some(vote) = votes.next(), if !votes.is_empty() => heard.push(vote),
                _ = leadership.tick() => if !self.replicas.leads() {
                    return Err("this broker does not lead the partition any more".to_owned());
                },
            }
        };
        self.publish(storer).await?;
        tokio::spawn(hear_the_rest(
            Arc::clone(&self.replicas),
            root,
            heard,
            votes,
        ));
        Ok(())
    }

    fn disagreement(&self, root: [u8; 32], agreeing: usize, heard: &[(NodeId, Vote)]) -> String {
        tell_differences(&*self.replicas, root, heard);
        let said = heard.iter().filter_map(|(node, vote)| match vote {
            Vote::Root(one) if *one == root => None,
            Vote::Root(_) => Some(format!("broker {node} has other content")),
            Vote::None(reason) => Some(format!("broker {node}: {reason}")),
        });
        let said: Vec<String> = said.collect();
        format!(
            "Only {agreeing} of {} replicas of the partition confirm its content, which takes most of them ({}). Take a new backup",
            self.nodes.len(),
            said.join("; ")
        )
    }

    /// Asks a replica until it has an answer for good.
    fn vote(&self, node: NodeId, step: BackupStep) -> BoxFuture<'static, (NodeId, Vote)> {
        let replicas = Arc::clone(&self.replicas);
        Box::pin(async move {
            let mut reached = Instant::now();
            loop {
                match replicas.ask(node, step, ANSWER_PATIENCE).await {
                    Ok(NodeAnswer::RootHash(root)) => return (node, Vote::Root(root)),
                    Ok(NodeAnswer::Refusal(NodeRefusal::Failed, reason)) => {
                        return (node, Vote::None(reason));
                    }
                    Ok(NodeAnswer::Working) => reached = Instant::now(),
                    Ok(_) | Err(_) => sleep(RETRY_PAUSE).await,
                }
                if step == BackupStep::Store && reached.elapsed() > STORER_PATIENCE {
                    return (node, Vote::None(out_of_reach()));
                }
            }
        })
    }

    async fn publish(&self, storer: NodeId) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let asked = self
                .replicas
                .ask(storer, BackupStep::Publish, PUBLISH_PATIENCE);
            match asked.await {
                Ok(NodeAnswer::Done) => return Ok(()),
                Ok(NodeAnswer::Refusal(_, reason)) => return Err(reason),
                Ok(_) | Err(_) if began.elapsed() < STORER_PATIENCE => sleep(RETRY_PAUSE).await,
                Ok(_) | Err(_) => return Err(out_of_reach()),
            }
        }
    }
}

fn out_of_reach() -> String {
    format!("it was out of reach for {STORER_PATIENCE:?}")
}

/// The backup is complete; whoever has not voted yet is heard as well, since a replica that differs is a fault.
async fn hear_the_rest(
    replicas: Arc<dyn Replicas>,
    root: [u8; 32],
    mut heard: Vec<(NodeId, Vote)>,
    mut votes: Votes,
) {
    let rest = async {
        while let Some(vote) = votes.next().await {
            heard.push(vote);
        }
    };
    // Who answers later has restarted, or has been away for too long to be waited for.
    let _ = tokio::time::timeout(PUBLISH_PATIENCE, rest).await;
    tell_differences(&*replicas, root, &heard);
}

fn tell_differences(replicas: &dyn Replicas, root: [u8; 32], heard: &[(NodeId, Vote)]) {
    let differs = |(_, vote): &&(NodeId, Vote)| matches!(vote, Vote::Root(one) if *one != root);
    for (node, _) in heard.iter().filter(differs) {
        replicas.differs(*node);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Mutex;

    use futures::FutureExt;

    use super::*;

    /// What each of three replicas, 0 to 2, says; 0 leads.
    struct Fake {
        answers: [fn(BackupStep) -> Result<NodeAnswer, String>; 3],
        asked: Mutex<Vec<(u32, BackupStep)>>,
        differing: Mutex<Vec<u32>>,
    }

    impl Replicas for Fake {
        fn leads(&self) -> bool {
            true
        }

        fn ask(
            &self,
            node: NodeId,
            step: BackupStep,
            _patience: Duration,
        ) -> BoxFuture<'static, Result<NodeAnswer, String>> {
            self.asked.lock().unwrap().push((node.0, step));
            let answer = self.answers[node.0 as usize](step);
            async move { answer }.boxed()
        }

        fn differs(&self, node: NodeId) {
            self.differing.lock().unwrap().push(node.0);
        }
    }

    fn right(step: BackupStep) -> Result<NodeAnswer, String> {
        Ok(match step {
            BackupStep::Compare | BackupStep::Store => NodeAnswer::RootHash([1; 32]),
            BackupStep::Publish => NodeAnswer::Done,
        })
    }

    fn wrong(_: BackupStep) -> Result<NodeAnswer, String> {
        Ok(NodeAnswer::RootHash([2; 32]))
    }

    fn restarted(_: BackupStep) -> Result<NodeAnswer, String> {
        let reason = "it has restarted".to_owned();
        Ok(NodeAnswer::Refusal(NodeRefusal::Failed, reason))
    }

    fn silent(_: BackupStep) -> Result<NodeAnswer, String> {
        Err("no answer".to_owned())
    }

    type Answer = fn(BackupStep) -> Result<NodeAnswer, String>;

    /// How it ends, who published it, who read for comparison, and whose content differs.
    async fn reach(
        from: UploadFrom,
        answers: [Answer; 3],
    ) -> (Result<(), String>, Vec<u32>, Vec<u32>, Vec<u32>) {
        let fake = Arc::new(Fake {
            answers,
            asked: Mutex::default(),
            differing: Mutex::default(),
        });
        let nodes = vec![NodeId(0), NodeId(1), NodeId(2)];
        let replicas = Arc::clone(&fake) as Arc<dyn Replicas>;
        let result = Agreement::new(replicas, NodeId(0), nodes, from)
            .reach()
            .await;
        // Whoever is heard afterwards has been heard when time goes on.
        sleep(2 * PUBLISH_PATIENCE).await;
        let asked = fake.asked.lock().unwrap().clone();
        let who = |wanted| {
            let mut who: Vec<u32> = asked
                .iter()
                .filter(|(_, step)| *step == wanted)
                .map(|(node, _)| *node)
                .collect();
            who.dedup();
            who
        };
        let differing = fake.differing.lock().unwrap().clone();
        (
            result,
            who(BackupStep::Publish),
            who(BackupStep::Compare),
            differing,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_backup_counts_when_most_replicas_agree_and_one_may_be_out_of_reach() {
        for third in [right as Answer, restarted, silent] {
            let (result, published, _, differing) =
                reach(UploadFrom::Leader, [right, right, third]).await;
            assert_eq!((result, published), (Ok(()), vec![0]));
            assert!(differing.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_differs_is_told_though_the_backup_counts_without_it() {
        let (result, published, _, differing) =
            reach(UploadFrom::Leader, [right, right, wrong]).await;
        assert_eq!((result, published, differing), (Ok(()), vec![0], vec![2]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_backup_that_no_other_replica_confirms_is_not_published() {
        let (result, published, _, differing) =
            reach(UploadFrom::Leader, [right, wrong, restarted]).await;
        let reason = result.unwrap_err();
        assert!(reason.contains("Only 1 of 3"), "{reason}");
        assert!(reason.contains("broker 2: it has restarted"), "{reason}");
        assert_eq!((published, differing), (vec![], vec![1]));
    }

    #[tokio::test(start_paused = true)]
    async fn followers_spare_the_leader_as_long_as_they_can() {
        let (result, published, compared, _) =
            reach(UploadFrom::Follower, [right, right, right]).await;
        assert_eq!((result, published, compared), (Ok(()), vec![1], vec![2]));
        // The other follower cannot say anything: the leader reads its content as well.
        let (result, published, compared, _) =
            reach(UploadFrom::Follower, [right, right, restarted]).await;
        assert_eq!((result, published, compared), (Ok(()), vec![1], vec![2, 0]));
        // The first follower cannot be reached.
        let (result, published, _, _) = reach(UploadFrom::Follower, [right, silent, right]).await;
        assert_eq!((result, published), (Ok(()), vec![2]));
        // None of them can do anything.
        let (result, _, _, _) = reach(UploadFrom::Follower, [right, restarted, restarted]).await;
        let reason = result.unwrap_err();
        assert!(reason.contains("Broker 1: it has restarted"), "{reason}");
    }
}
