//! What the clients have sent and been told, in the order of one clock, and what therefore holds in a cut.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use super::client::{Answers, Job};

/// Every so many orders one ends in a job that nobody takes while the load runs: in each later backup it waits there, with
/// the whole of its history in its variables, so that it can be told from one that is missing.
const KEPT_EVERY: usize = 8;

/// The service tasks of the process, in order. The last one has jobs of kept orders only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    Prepare,
    Bill,
    Deliver,
    Archive,
}

impl Step {
    pub const ALL: [Step; 4] = [Step::Prepare, Step::Bill, Step::Deliver, Step::Archive];

    /// The type of its jobs.
    pub fn job_type(self) -> &'static str {
        match self {
            Step::Prepare => "cut-prepare",
            Step::Bill => "cut-bill",
            Step::Deliver => "cut-deliver",
            Step::Archive => "cut-archive",
        }
    }

    /// The variable that its worker sets to its own name.
    pub fn variable(self) -> &'static str {
        match self {
            Step::Prepare => "prepared",
            Step::Bill => "billed",
            Step::Deliver => "delivered",
            Step::Archive => "archived",
        }
    }
}

/// When a request left and when its success was known; 0 for never.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request {
    pub sent: u64,
    pub acknowledged: u64,
}

/// Whether the effect of a request is in a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InCut {
    /// It was acknowledged before the cut was asked for.
    Yes,
    /// It was not sent before the cut was answered.
    No,
    /// They overlap: both are right.
    Either,
}

/// When a backup was asked for and when the answer came: its cut lies between.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    pub backup: u64,
    pub asked: u64,
    pub answered: u64,
}

impl Request {
    pub fn in_cut(self, cut: &Cut) -> InCut {
        if self.acknowledged != 0 && self.acknowledged < cut.asked {
            InCut::Yes
        } else if self.sent == 0 || self.sent > cut.answered {
            InCut::No
        } else {
            InCut::Either
        }
    }
}

/// One instance, known by its number, and what was done for it while the load ran.
#[derive(Debug, Clone, Default)]
pub struct Order {
    pub instance: i64,
    /// The answer to its creation was lost.
    pub doubtful: bool,
    pub created: Request,
    pub paid: Request,
    steps: [Request; 4],
}

impl Order {
    pub fn step(&self, step: Step) -> Request {
        self.steps[step as usize]
    }

    pub fn step_mut(&mut self, step: Step) -> &mut Request {
        &mut self.steps[step as usize]
    }
}

/// Whether the order waits at the end for the restored broker.
pub fn is_kept(order: usize) -> bool {
    order.is_multiple_of(KEPT_EVERY)
}

/// The history of the load.
pub struct Ledger {
    answers: Answers,
    clock: AtomicU64,
    orders: Mutex<Vec<Order>>,
    /// Deadlines of the jobs that came to a worker, by key.
    jobs: Mutex<HashMap<i64, i64>>,
    /// The job of each step of an order: there must never be another.
    steps: Mutex<HashMap<(usize, Step), i64>>,
    crossings: AtomicU64,
}

impl Ledger {
    pub fn new(answers: Answers) -> Ledger {
        Ledger {
            answers,
            clock: AtomicU64::new(0),
            orders: Mutex::default(),
            jobs: Mutex::default(),
            steps: Mutex::default(),
            crossings: AtomicU64::new(0),
        }
    }

    pub fn answers(&self) -> Answers {
        self.answers
    }

    /// Now, later than every earlier now.
    pub fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn orders(&self) -> MutexGuard<'_, Vec<Order>> {
        self.orders.lock().unwrap()
    }

    /// A new order, whose creation is being sent.
    pub fn begin(&self) -> usize {
        let mut orders = self.orders();
        let created = Request {
            sent: self.now(),
            acknowledged: 0,
        };
        orders.push(Order {
            created,
            ..Order::default()
        });
        orders.len() - 1
    }

    /// A creation was answered, or never will be.
    pub fn created(&self, order: usize, instance: Option<i64>) {
        let now = self.now();
        match instance {
            Some(instance) => {
                self.is_instance(order, instance);
                self.orders()[order].created.acknowledged = now;
            }
            None => self.orders()[order].doubtful = true,
        }
    }

    /// An order has one instance.
    fn is_instance(&self, number: usize, instance: i64) {
        let order = &mut self.orders()[number];
        assert!(
            order.instance == 0 || order.instance == instance,
            "order {number} has two instances, {} and {instance}",
            order.instance
        );
        order.instance = instance;
    }

    pub fn sending(&self, order: usize, request: impl FnOnce(&mut Order) -> &mut Request) {
        let now = self.now();
        let mut orders = self.orders();
        let request = request(&mut orders[order]);
        assert_eq!(request.sent, 0, "a step of order {order} is done twice");
        request.sent = now;
    }

    pub fn acknowledged(&self, order: usize, request: impl FnOnce(&mut Order) -> &mut Request) {
        let now = self.now();
        request(&mut self.orders()[order]).acknowledged = now;
    }

    /// A job came to a worker: whether it is to be done. It may come again only when its time is over, as happens where this
    /// process stood still, and whoever got it first does it nevertheless. Where answers may be lost, clocks may be wrong as well.
    pub fn job(&self, step: Step, job: &Job) -> bool {
        self.is_instance(job.order, job.instance);
        let first = *self
            .steps
            .lock()
            .unwrap()
            .entry((job.order, step))
            .or_insert(job.key);
        assert_eq!(first, job.key, "{step:?} has another job: {job:?}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let Some(deadline) = self.jobs.lock().unwrap().insert(job.key, job.deadline) else {
            return true;
        };
        assert!(
            self.answers == Answers::MayBeLost || now.as_millis() as i64 >= deadline,
            "{job:?} comes twice"
        );
        false
    }

    /// A message went to the partition of its key for an instance of another.
    pub fn message(&self, order: usize, message: i64) {
        let instance = self.orders()[order].instance;
        if instance != 0 && partition_of(message) != partition_of(instance) {
            self.crossings.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many messages are known to have crossed from one partition to another.
    pub fn crossings(&self) -> u64 {
        self.crossings.load(Ordering::Relaxed)
    }
}

fn partition_of(key: i64) -> i64 {
    key >> 51
}
