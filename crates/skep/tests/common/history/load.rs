//! The load: orders are created, worked on and paid without a pause, a bounded number of them at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::PATIENCE;
use super::client::{Answers, Client, Job, Published};
use super::ledger::{Ledger, Step, is_kept};

const CREATORS: usize = 8;
const WORKERS_PER_STEP: usize = 2;
const JOBS_PER_CALL: i32 = 32;
/// How long a job stays with its worker: so short that no restored broker has to wait long for those that were with the
/// workers of the load, and so long that no worker is ever late.
const JOB_TIMEOUT_MS: i64 = 20_000;
/// Between two looks at something that changes by itself.
const PAUSE: Duration = Duration::from_millis(2);
/// What this side writes into the variables of an order.
pub const NAME: &str = "live";

/// The running load.
pub struct Load {
    shared: Arc<Shared>,
    creators: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

/// How much there is to do.
#[derive(Clone, Copy)]
pub struct Size {
    /// Orders that are not delivered yet, at most.
    pub window: usize,
    /// Between two orders of one of the creators.
    pub pause: Duration,
}

struct Shared {
    client: Client,
    ledger: Arc<Ledger>,
    size: Size,
    window: Semaphore,
    delivered: AtomicUsize,
    no_more_orders: AtomicBool,
    end: AtomicBool,
}

impl Load {
    pub fn start(runtime: &Handle, client: Client, ledger: Arc<Ledger>, size: Size) -> Load {
        let shared = Arc::new(Shared {
            client,
            ledger,
            size,
            window: Semaphore::new(size.window),
            delivered: AtomicUsize::new(0),
            no_more_orders: AtomicBool::new(false),
            end: AtomicBool::new(false),
        });
        let creators = (0..CREATORS)
            .map(|_| runtime.spawn(create(Arc::clone(&shared))))
            .collect();
        let others = [Step::Prepare, Step::Bill, Step::Deliver]
            .into_iter()
            .flat_map(|step| [step; WORKERS_PER_STEP])
            .map(|step| runtime.spawn(work(Arc::clone(&shared), step)))
            .collect();
        Load {
            shared,
            creators,
            others,
        }
    }

    /// Waits until so many more orders are delivered.
    #[track_caller]
    pub fn await_deliveries(&self, count: usize) {
        let delivered = || self.shared.delivered.load(Ordering::Relaxed);
        let goal = delivered() + count;
        let end = Instant::now() + PATIENCE;
        while delivered() < goal {
            assert!(Instant::now() < end, "nothing is delivered any more");
            let ended = self
                .creators
                .iter()
                .chain(&self.others)
                .any(JoinHandle::is_finished);
            assert!(!ended, "a client of the load has failed");
            std::thread::sleep(PAUSE);
        }
    }

    /// Takes no new orders, waits until all that there are have been delivered, and ends.
    pub async fn finish(self) {
        self.shared.no_more_orders.store(true, Ordering::Relaxed);
        for creator in self.creators {
            creator.await.unwrap();
        }
        let all = timeout(
            PATIENCE,
            self.shared
                .window
                .acquire_many(self.shared.size.window as u32),
        )
        .await;
        drop(all.expect("all orders are delivered").unwrap());
        self.shared.end.store(true, Ordering::Relaxed);
        for other in self.others {
            other.await.unwrap();
        }
    }
}

async fn create(shared: Arc<Shared>) {
    while !shared.no_more_orders.load(Ordering::Relaxed) {
        shared.window.acquire().await.unwrap().forget();
        let order = shared.ledger.begin();
        let instance = shared.client.create(order, is_kept(order)).await;
        shared.ledger.created(order, instance);
        if instance.is_none() {
            // It may never come to its delivery.
            shared.window.add_permits(1);
        }
        if paid_after(order).is_none() {
            pay(&shared, order).await;
        }
        tokio::time::sleep(shared.size.pause).await;
    }
}

/// The step after which the message of an order is published. It is there before the order waits for it, comes about when the
/// order begins to wait, or finds it waiting.
fn paid_after(order: usize) -> Option<Step> {
    [None, Some(Step::Prepare), Some(Step::Bill)][order % 3]
}

async fn pay(shared: &Shared, order: usize) {
    shared.ledger.sending(order, |order| &mut order.paid);
    match shared.client.pay(order, NAME).await {
        Published::New(message) => shared.ledger.message(order, message),
        // The answer to the first call was lost.
        Published::Known if shared.ledger.answers() == Answers::MayBeLost => {}
        Published::Known => panic!("the message of order {order} is there before it was sent"),
    }
    shared.ledger.acknowledged(order, |order| &mut order.paid);
}

async fn work(shared: Arc<Shared>, step: Step) {
    while !shared.end.load(Ordering::Relaxed) {
        let jobs = shared
            .client
            .activate(step, JOBS_PER_CALL, JOB_TIMEOUT_MS)
            .await;
        stream::iter(jobs)
            .for_each_concurrent(None, |job| complete(&shared, step, job))
            .await;
    }
}

async fn complete(shared: &Shared, step: Step, job: Job) {
    let order = job.order;
    if !shared.ledger.job(step, &job) {
        return;
    }
    shared.ledger.sending(order, |order| order.step_mut(step));
    shared.client.complete(job.key, step, NAME).await;
    shared
        .ledger
        .acknowledged(order, |order| order.step_mut(step));
    if paid_after(order) == Some(step) {
        pay(shared, order).await;
    }
    if step == Step::Deliver {
        shared.delivered.fetch_add(1, Ordering::Relaxed);
        if !shared.ledger.orders()[order].doubtful {
            shared.window.add_permits(1);
        }
    }
}
