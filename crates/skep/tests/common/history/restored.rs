//! A restored broker is driven to its end, and what it does is held against the ledger.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use futures::future::join_all;
use futures::{StreamExt, stream};
use tokio::runtime::Runtime;

use super::client::{Answers, Client, Job, Published};
use super::ledger::{Cut, InCut, Order, Step, is_kept};
use super::remains::{Counts, content, remains};
use super::{PARTITIONS, PATIENCE, load};
use crate::common::cluster::Cluster;
use crate::common::{Place, SKEP, text_of};

/// What this side writes into the variables of an order.
const NAME: &str = "restored";
/// How long a job stays with its worker: longer than a round of [`Drive::work_once`] takes, and so short that jobs whose activation nobody was
/// told of come again long before [`PATIENCE`] is over.
const JOB_TIMEOUT_MS: i64 = 30_000;
const JOBS_PER_CALL: i32 = 500;
const CALLS_AT_ONCE: usize = 64;
/// Orders that begin on the restored broker: the number of the first, and how many must be acknowledged.
const FRESH: (usize, usize) = (1_000_000, 10);

/// What was found in one backup.
#[derive(Debug, Default, Clone, Copy)]
pub struct Figures {
    /// Instances that went on.
    pub instances: usize,
    /// Jobs that were completed on the restored broker.
    pub jobs: usize,
    /// Orders whose message was in the backup while they had not been delivered.
    pub messages_in_cut: usize,
    /// Timers in the backup.
    pub timers: u64,
    /// Subscriptions in the backup, of instances and of messages.
    pub subscriptions: (u64, u64),
    /// Commands on their way between partitions in the backup.
    pub on_their_way: u64,
}

/// What was seen of an order.
#[derive(Debug, Default)]
struct Seen {
    instance: i64,
    /// Steps for which there was a job, each at most once.
    steps: BTreeMap<Step, i64>,
    /// The variables at its last step.
    variables: serde_json::Value,
    paid: Option<Published>,
}

/// How many backups are restored at the same time.
const RESTORES: usize = 2;

/// A backup, and on how many brokers it is restored.
#[derive(Debug, Clone, Copy)]
pub struct Restore {
    pub cut: Cut,
    pub brokers: u32,
}

/// Checks all restores, some at the same time.
pub fn check_all(
    runtime: &Runtime,
    backups: &Path,
    restores: &[Restore],
    orders: &[Order],
) -> Vec<Figures> {
    let next = AtomicUsize::new(0);
    let figures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..RESTORES {
            scope.spawn(|| {
                while let Some(restore) = restores.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = runtime.block_on(check(backups, *restore, orders));
                    figures.lock().unwrap().push(found);
                }
            });
        }
    });
    figures.into_inner().unwrap()
}

/// Restores a backup of `backups` into new places and drives it to its end.
async fn check(backups: &Path, restore: Restore, orders: &[Order]) -> Figures {
    let cut = restore.cut;
    let cluster = Cluster::new(restore.brokers, PARTITIONS, restore.brokers);
    for place in &cluster.places {
        let restored = place
            .command(SKEP)
            .args(["restore", &format!("--backupId={}", cut.backup)])
            .env("ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH", backups)
            .output()
            .unwrap();
        assert!(restored.status.success(), "{}", text_of(&restored));
    }
    let brokers = cluster.start();
    let place = &cluster.places[0];
    let own_backups = place.directory.path().join("backups");
    // Of several one may lose its leadership.
    let answers = match restore.brokers {
        1 => Answers::All,
        _ => Answers::MayBeLost,
    };
    let client = Client::of(&[place.variable("ZEEBE_ADDRESS")], answers);
    let drive = drive(place, client, &own_backups, cut, orders).await;
    for broker in brokers {
        assert_eq!(broker.stop(), Some(0));
    }
    let before = content(backups, cut.backup).await;
    drive.figures(&before)
}

/// Drives what runs at that place to its end, and holds it against the ledger; further backups go into `backups`.
pub async fn drive<'a>(
    place: &Place,
    client: Client,
    backups: &Path,
    cut: Cut,
    orders: &'a [Order],
) -> Drive<'a> {
    let mut drive = Drive {
        client,
        cut,
        orders,
        fresh: Vec::new(),
        doubtful: Vec::new(),
        seen: BTreeMap::new(),
        jobs: 0,
    };
    drive.begin_fresh_orders().await;
    drive.pay().await;
    drive.work(place, backups).await;
    drive.assert_all();
    drive
}

/// What was seen meanwhile.
pub struct Drive<'a> {
    client: Client,
    cut: Cut,
    orders: &'a [Order],
    /// Orders that began here, those of which nobody knows whether they did apart.
    fresh: Vec<usize>,
    doubtful: Vec<usize>,
    seen: BTreeMap<usize, Seen>,
    jobs: usize,
}

impl Drive<'_> {
    /// New instances on the restored broker must not meet the old ones.
    async fn begin_fresh_orders(&mut self) {
        let (first, count) = FRESH;
        for order in first.. {
            if self.fresh.len() == count {
                return;
            }
            match self.client.create(order, is_kept(order)).await {
                Some(instance) => {
                    self.seen.entry(order).or_default().instance = instance;
                    self.fresh.push(order);
                }
                None => self.doubtful.push(order),
            }
        }
    }

    /// Publishes the message of every order that may still wait for it, whether it is in the backup or not.
    async fn pay(&mut self) {
        let may_wait = |order: &Order| {
            order.created.in_cut(&self.cut) != InCut::No
                && order.step(Step::Deliver).in_cut(&self.cut) != InCut::Yes
        };
        let old = self.orders.iter().enumerate();
        let waiting = old.filter_map(|(number, order)| may_wait(order).then_some(number));
        let new = self.fresh.iter().chain(&self.doubtful).copied();
        let client = &self.client;
        let published: Vec<_> = stream::iter(waiting.chain(new))
            .map(|order| async move { (order, client.pay(order, NAME).await) })
            .buffer_unordered(CALLS_AT_ONCE)
            .collect()
            .await;
        for (order, published) in published {
            self.seen.entry(order).or_default().paid = Some(published);
        }
    }

    /// Works on all jobs until nothing is left of any instance.
    async fn work(&mut self, place: &Place, backups: &Path) {
        let began = Instant::now();
        let mut backup = self.cut.backup;
        loop {
            if self.work_once().await > 0 {
                continue;
            }
            let unfinished = self.unfinished();
            let late = began.elapsed() > PATIENCE;
            assert!(
                !late || unfinished.is_empty(),
                "{}: not completed: {unfinished:?}",
                self.at()
            );
            if !unfinished.is_empty() {
                continue;
            }
            backup += 1;
            place.take_backup(backup);
            let left = remains(backups, backup).await;
            if left.is_empty() {
                return;
            }
            assert!(!late, "{}: entries left by table: {left:?}", self.at());
        }
    }

    /// Takes and completes what jobs there are, and gives their number.
    async fn work_once(&mut self) -> usize {
        let client = &self.client;
        let activated = Step::ALL.map(|step| async move {
            let jobs = client.activate(step, JOBS_PER_CALL, JOB_TIMEOUT_MS).await;
            (step, jobs)
        });
        let activated = join_all(activated).await;
        let found = activated.iter().map(|(_, jobs)| jobs.len()).sum();
        for (step, jobs) in activated {
            self.complete(step, jobs).await;
        }
        found
    }

    async fn complete(&mut self, step: Step, jobs: Vec<Job>) {
        self.jobs += jobs.len();
        let keys: Vec<_> = jobs.iter().map(|job| job.key).collect();
        for job in jobs {
            self.note(step, job);
        }
        let client = &self.client;
        stream::iter(keys)
            .for_each_concurrent(CALLS_AT_ONCE, |job| client.complete(job, step, NAME))
            .await;
    }

    fn note(&mut self, step: Step, job: Job) {
        let at = self.at();
        let seen = self.seen.entry(job.order).or_default();
        let (order, instance) = (job.order, job.instance);
        assert!(
            seen.instance == 0 || seen.instance == instance,
            "{at}: order {order} has two instances, {} and {instance}",
            seen.instance
        );
        seen.instance = instance;
        let before = seen.steps.insert(step, job.key);
        assert_eq!(before, None, "{at}: order {order} comes to {step:?} twice");
        let later = seen.steps.keys().any(|other| *other > step);
        let beside = matches!(step, Step::Prepare | Step::Bill);
        assert!(
            !later || beside,
            "{at}: order {order} comes to {step:?} late"
        );
        seen.variables = job.variables;
    }

    /// Orders of which it is known that they were in the backup and have not come to their end.
    fn unfinished(&self) -> Vec<usize> {
        let waits = |(number, order): (usize, &Order)| {
            let last = last_step(number);
            let gone = order.step(last).in_cut(&self.cut) != InCut::No;
            let here = order.created.in_cut(&self.cut) == InCut::Yes && !gone;
            (here && !self.has_seen(number, last)).then_some(number)
        };
        let old = self.orders.iter().enumerate().filter_map(waits);
        let new = self.fresh.iter().copied();
        old.chain(new.filter(|number| !self.has_seen(*number, last_step(*number))))
            .collect()
    }

    fn has_seen(&self, order: usize, step: Step) -> bool {
        self.seen
            .get(&order)
            .is_some_and(|seen| seen.steps.contains_key(&step))
    }

    fn at(&self) -> String {
        format!("backup {}", self.cut.backup)
    }

    /// Everything that was seen is what the ledger says.
    fn assert_all(&self) {
        let nothing = Order::default();
        for (number, seen) in &self.seen {
            let order = self.orders.get(*number).unwrap_or(&nothing);
            let is_old = self.orders.get(*number).is_some();
            let problems = problems(*number, order, seen, &self.cut, is_old);
            assert!(
                problems.is_empty(),
                "{}: order {number}: {problems:?}\nseen: {seen:?}\nledger: {order:?}\n{:?}",
                self.at(),
                self.cut
            );
        }
    }

    fn figures(&self, content: &Counts) -> Figures {
        use skep_engine::tables::prefix;
        let of = |table: u8| content.get(&table).copied().unwrap_or(0);
        let went_on =
            |(number, seen): &(&usize, &Seen)| **number < FRESH.0 && !seen.steps.is_empty();
        Figures {
            instances: self.seen.iter().filter(went_on).count(),
            jobs: self.jobs,
            messages_in_cut: self
                .seen
                .values()
                .filter(|seen| seen.paid == Some(Published::Known))
                .count(),
            timers: of(prefix::TIMERS),
            subscriptions: (
                of(prefix::PROCESS_MESSAGE_SUBSCRIPTIONS),
                of(prefix::MESSAGE_SUBSCRIPTIONS),
            ),
            on_their_way: of(prefix::OUTBOX),
        }
    }
}

fn last_step(order: usize) -> Step {
    if is_kept(order) {
        Step::Archive
    } else {
        Step::Deliver
    }
}

/// What contradicts the ledger.
fn problems(number: usize, order: &Order, seen: &Seen, cut: &Cut, is_old: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |holds: bool, text: String| {
        if !holds {
            problems.push(text);
        }
    };
    // A message without an instance: the order was being created, or delivered, at the cut.
    if seen.steps.is_empty() {
        return problems;
    }
    if is_old {
        expect(
            order.created.in_cut(cut) != InCut::No,
            "it was not created yet".to_owned(),
        );
        let known = order.instance == 0 || order.instance == seen.instance;
        expect(known, format!("it has instance {}", seen.instance));
    }
    for step in Step::ALL {
        if step == Step::Archive && !is_kept(number) {
            expect(
                !seen.steps.contains_key(&step),
                "it comes to the archive".to_owned(),
            );
            continue;
        }
        let here = seen.steps.contains_key(&step);
        match order.step(step).in_cut(cut) {
            InCut::Yes => expect(!here, format!("{step:?} was done before and is done again")),
            InCut::No => expect(
                here,
                format!("{step:?} was not done before and is not done now"),
            ),
            InCut::Either => {}
        }
        let by = &seen.variables[step.variable()];
        if step < last_step(number) {
            let expected = if here { NAME } else { load::NAME };
            expect(
                by == expected,
                format!("{step:?} was done by {by}, not by {expected}"),
            );
        }
    }
    let by = &seen.variables["paid"];
    match order.paid.in_cut(cut) {
        InCut::Yes => expect(by == load::NAME, format!("it is paid by {by}")),
        InCut::No => expect(by == NAME, format!("it is paid by {by}")),
        InCut::Either => {}
    }
    if let Some(published) = seen.paid {
        let expected = if published == Published::Known {
            load::NAME
        } else {
            NAME
        };
        expect(
            by == expected,
            format!("{published:?} by {expected}, but paid by {by}"),
        );
    }
    problems
}
