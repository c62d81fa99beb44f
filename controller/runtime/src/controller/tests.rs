use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::backoff::Rng;
use crate::reconciler::Requeue;

const SECOND: Duration = Duration::from_secs(1);
const IDLE: Outcome = Outcome::Done(Requeue::AwaitChange);

/// Records its passes, takes `work` time for each, and notices if two passes of one key overlap.
#[derive(Default)]
struct World {
    work: Duration,
    /// What the next passes of a key give, last first; then `IDLE`.
    script: Mutex<BTreeMap<u8, Vec<Outcome>>>,
    /// Keys whose next pass panics.
    panics: Mutex<Vec<u8>>,
    busy: Mutex<BTreeMap<u8, Arc<AtomicBool>>>,
    overlapped: AtomicBool,
    started: Mutex<Vec<(u8, Instant)>>,
    ended: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl World {
    fn new(work: Duration) -> Arc<Self> {
        Arc::new(Self {
            work,
            ..Self::default()
        })
    }
    /// The passes so far.
    fn started(&self) -> Vec<(u8, Instant)> {
        // Here and not in the pass, where the controller would catch the panic.
        assert!(
            !self.overlapped.load(Ordering::SeqCst),
            "two passes of one key at once"
        );
        self.started.lock().unwrap().clone()
    }
    fn keys(&self) -> Vec<u8> {
        self.started().into_iter().map(|(key, _)| key).collect()
    }
    fn times(&self, since: Instant) -> Vec<Duration> {
        self.started()
            .into_iter()
            .map(|(_, at)| at - since)
            .collect()
    }
}

impl Reconciler<u8> for Arc<World> {
    async fn reconcile(&self, request: Request<u8>) -> Outcome {
        let key = request.key;
        let busy = Arc::clone(self.busy.lock().unwrap().entry(key).or_default());
        self.overlapped
            .fetch_or(busy.swap(true, Ordering::SeqCst), Ordering::SeqCst);
        self.started.lock().unwrap().push((key, Instant::now()));
        self.most.fetch_max(
            self.running.fetch_add(1, Ordering::SeqCst) + 1,
            Ordering::SeqCst,
        );
        sleep(self.work).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
        busy.store(false, Ordering::SeqCst);
        let panics = self.panics.lock().unwrap().pop_if(|k| *k == key).is_some();
        assert!(!panics, "on purpose");
        self.script
            .lock()
            .unwrap()
            .get_mut(&key)
            .and_then(Vec::pop)
            .unwrap_or(IDLE)
    }
}

struct Running {
    handle: Handle<u8>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Stopped<u8>>,
}

fn start(world: &Arc<World>, concurrency: usize) -> Running {
    let config = Config {
        concurrency: NonZeroUsize::new(concurrency).unwrap(),
        ..Config::new(1)
    };
    let (controller, handle) = Controller::new(Arc::clone(world), config);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(controller.run(async { stopped.await.unwrap() }));
    Running { handle, stop, task }
}

impl Running {
    async fn stop(self) -> Stopped<u8> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn requests_before_the_run_are_kept_and_merged() {
    let world = World::new(SECOND);
    let running = start(&world, 4);
    (0..3).for_each(|_| running.handle.enqueue(1, Trigger::change("x")));
    sleep(10 * SECOND).await;
    assert_eq!(world.keys(), [1]);
    assert_eq!(
        running.handle.stats(),
        Stats {
            adds: 3,
            ..Stats::default()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn requests_during_a_pass_lead_to_one_more_after_it() {
    let (world, begin) = (World::new(10 * SECOND), Instant::now());
    let running = start(&world, 4);
    running.handle.enqueue(1, Trigger::change("x"));
    for _ in 0..3 {
        sleep(SECOND).await;
        running.handle.enqueue(1, Trigger::change("x"));
    }
    assert_eq!(running.handle.stats().running, 1);
    sleep(60 * SECOND).await;
    assert_eq!(world.times(begin), [Duration::ZERO, 10 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn no_more_passes_than_allowed_run_and_a_user_overtakes() {
    let world = World::new(SECOND);
    let running = start(&world, 2);
    (1..=6).for_each(|key| running.handle.enqueue(key, Trigger::resync("all")));
    sleep(SECOND / 2).await;
    running.handle.enqueue(9, Trigger::user("apply"));
    sleep(10 * SECOND).await;
    assert_eq!(world.most.load(Ordering::SeqCst), 2);
    assert_eq!(world.keys(), [1, 2, 9, 3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_key_does_not_hold_up_others() {
    let (world, begin) = (World::new(100 * SECOND), Instant::now());
    let running = start(&world, 2);
    running.handle.enqueue(1, Trigger::user("x"));
    sleep(SECOND).await;
    running.handle.enqueue(1, Trigger::user("dirty"));
    running.handle.enqueue(2, Trigger::resync("x"));
    sleep(SECOND).await;
    assert_eq!(world.times(begin), [Duration::ZERO, SECOND]);
}

#[tokio::test(start_paused = true)]
async fn delays_are_kept_and_the_shortest_counts() {
    let (world, begin) = (World::new(Duration::ZERO), Instant::now());
    world
        .script
        .lock()
        .unwrap()
        .insert(1, vec![Outcome::Done(Requeue::After(30 * SECOND))]);
    let running = start(&world, 2);
    running
        .handle
        .enqueue_after(1, Trigger::change("x"), 20 * SECOND);
    sleep(SECOND).await;
    running
        .handle
        .enqueue_after(1, Trigger::change("x"), 4 * SECOND);
    assert_eq!(running.handle.stats().delayed, 1);
    sleep(600 * SECOND).await;
    assert_eq!(world.times(begin), [5 * SECOND, 35 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_that_backs_off() {
    let (world, begin) = (World::new(Duration::ZERO), Instant::now());
    world.panics.lock().unwrap().push(1);
    let running = start(&world, 2);
    running.handle.enqueue(1, Trigger::change("x"));
    sleep(2 * SECOND).await;
    assert_eq!(world.keys(), [1, 1]);
    assert!(world.times(begin)[1] <= SECOND);
    assert_eq!(running.handle.stats().retries, 1);
    assert!(running.stop().await.cut_off.is_empty());
}

#[tokio::test(start_paused = true)]
async fn failing_passes_spread_out_and_a_reset_brings_them_together() {
    let world = World::new(Duration::ZERO);
    world
        .script
        .lock()
        .unwrap()
        .insert(1, vec![Outcome::Failed(Retry::Backoff); 1000]);
    let running = start(&world, 2);
    running.handle.enqueue(1, Trigger::change("x"));
    sleep(3600 * SECOND).await;
    let settled = world.keys().len();
    sleep(3600 * SECOND).await;
    let hourly = world.keys().len() - settled;
    // Full jitter under a ceiling of 300 s: 150 s on average.
    assert!((14..=40).contains(&hourly), "{hourly} passes in an hour");

    let before = world.keys().len();
    running.handle.reset(&1);
    running.handle.enqueue(1, Trigger::user("new spec"));
    sleep(7 * SECOND).await;
    assert!(
        world.keys().len() >= before + 3,
        "the backoff did not start again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_running_passes_end_and_starts_no_more() {
    let (world, begin) = (World::new(5 * SECOND), Instant::now());
    let running = start(&world, 1);
    let handle = running.handle.clone();
    handle.enqueue(1, Trigger::user("x"));
    handle.enqueue(2, Trigger::user("x"));
    sleep(SECOND).await;
    assert_eq!(running.stop().await, Stopped { cut_off: vec![] });
    assert_eq!((begin.elapsed(), world.keys()), (5 * SECOND, vec![1]));
    handle.enqueue(3, Trigger::user("too late"));
    sleep(60 * SECOND).await;
    assert_eq!(world.keys(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_cuts_off_what_takes_too_long() {
    let (world, begin) = (World::new(60 * SECOND), Instant::now());
    let running = start(&world, 2);
    running.handle.enqueue(1, Trigger::user("x"));
    running.handle.enqueue(2, Trigger::user("x"));
    sleep(SECOND).await;
    assert_eq!(
        running.stop().await,
        Stopped {
            cut_off: vec![1, 2]
        }
    );
    assert_eq!(
        (begin.elapsed(), world.ended.load(Ordering::SeqCst)),
        (11 * SECOND, 0)
    );
    sleep(100 * SECOND).await;
    assert_eq!(
        world.ended.load(Ordering::SeqCst),
        0,
        "a pass outlived the controller"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_drops_its_passes() {
    let world = World::new(60 * SECOND);
    let running = start(&world, 2);
    running.handle.enqueue(1, Trigger::user("x"));
    sleep(SECOND).await;
    running.task.abort();
    sleep(100 * SECOND).await;
    assert_eq!(
        (world.keys(), world.ended.load(Ordering::SeqCst)),
        (vec![1], 0)
    );
}

/// On real threads, with no pause: hints from many tasks at once lose nothing and never overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_lose_no_request() {
    let world = World::new(Duration::ZERO);
    let running = start(&world, 4);
    let done = Arc::new(Semaphore::new(0));
    for task in 0..4_u64 {
        let (handle, done) = (running.handle.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut rng = Rng::new(task);
            for _ in 0..500 {
                handle.enqueue(u8::try_from(rng.up_to(9)).unwrap(), Trigger::change("x"));
                tokio::task::yield_now().await;
            }
            done.add_permits(1);
        });
    }
    let _all = done.acquire_many(4).await.unwrap();
    let last = Instant::now();
    (0..10).for_each(|key| running.handle.enqueue(key, Trigger::change("last")));
    let idle = async {
        while running.handle.stats()
            != (Stats {
                adds: 2010,
                ..Stats::default()
            })
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(60 * SECOND, idle).await.unwrap();
    let started = world.started();
    assert!((0..10).all(|key| started.iter().any(|(k, at)| *k == key && *at >= last)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the interleaving of requests, passes and failures: after the last request of a key, a pass of it starts.
    #[test]
    fn every_request_is_followed_by_a_pass(seed: u64, concurrency in 1..4_usize, work in 0..400_u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut rng = Rng::new(seed);
            let world = World::new(Duration::from_millis(work));
            for key in 0..5 {
                let outcomes = (0..rng.up_to(6)).map(|_| match rng.up_to(4) {
                    0 => Outcome::Failed(Retry::Backoff),
                    1 => Outcome::Failed(Retry::Terminal),
                    2 => Outcome::Failed(Retry::After(SECOND)),
                    3 => Outcome::Done(Requeue::After(SECOND / 4)),
                    _ => IDLE,
                });
                let outcomes = outcomes.collect();
                world.script.lock().unwrap().insert(key, outcomes);
            }
            let running = start(&world, concurrency);
            let mut last = BTreeMap::new();
            for _ in 0..40 {
                let key = u8::try_from(rng.up_to(4)).unwrap();
                let delay = Duration::from_millis(rng.up_to(3) * 200);
                running.handle.enqueue_after(key, Trigger::change("x"), delay);
                last.insert(key, Instant::now());
                sleep(Duration::from_millis(rng.up_to(2) * rng.up_to(300))).await;
            }
            sleep(1000 * SECOND).await;
            for (key, asked) in last {
                let started = world.started();
                assert!(started.iter().any(|(k, at)| *k == key && *at >= asked), "{key} was lost");
            }
            assert!(world.most.load(Ordering::SeqCst) <= concurrency);
            let idle = running.handle.stats();
            assert_eq!((idle.depth, idle.delayed, idle.running), (0, 0, 0));
            assert!(running.stop().await.cut_off.is_empty());
        });
    }
}
