//! Tasks, time, slots, other threads, and the end of a core.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_util::FutureExt;

use super::{Buf, Io, on_both, pair, run_core};
use crate::config::EngineChoice;
use crate::driver::CoreOptions;

#[test]
fn slots_go_to_the_longest_waiter() {
    on_both(|io| async move {
        let mut held: Vec<_> = std::iter::from_fn(|| io.try_slot()).collect();
        assert_eq!((held.len(), io.slots_free()), (8, 0));
        let order = Rc::new(RefCell::new(Vec::new()));
        let waiters: Vec<_> = (0..5)
            .map(|number| {
                let (io, order) = (io.clone(), Rc::clone(&order));
                io.clone().spawn(async move {
                    let slot = io.take_slot().await;
                    order.borrow_mut().push(number);
                    slot
                })
            })
            .collect();
        io.yield_now().await;
        // A task that gives up passes its turn on, also with a slot in hand.
        let mut impatient = io.take_slot();
        assert!(Pin::new(&mut impatient).now_or_never().is_none());
        held.truncate(2);
        assert!(io.try_slot().is_none(), "no waiter is overtaken");
        drop(impatient);
        for waiter in waiters {
            held.push(waiter.await);
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
        drop(held);
        assert_eq!(io.slots_free(), 8);
    });
}

#[test]
fn timers_fire_in_order_and_not_early() {
    on_both(|io| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let started = Instant::now();
        let sleeps: Vec<_> = [30_u64, 10, 20, 0, 10]
            .map(|ms| {
                let (io, order) = (io.clone(), Rc::clone(&order));
                io.clone().spawn(async move {
                    io.sleep(Duration::from_millis(ms)).await;
                    assert!(started.elapsed() >= Duration::from_millis(ms));
                    order.borrow_mut().push(ms);
                })
            })
            .into();
        for sleep in sleeps {
            sleep.await;
        }
        assert_eq!(*order.borrow(), [0, 10, 10, 20, 30]);
        assert!(started.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn ten_thousand_timers_all_fire_and_dropped_ones_are_gone() {
    on_both(|io| async move {
        let fired = Rc::new(Cell::new(0));
        for number in 0..10_000_u64 {
            let (inside, fired) = (io.clone(), Rc::clone(&fired));
            let sleep = io.sleep(Duration::from_micros(number * 7919 % 50_000));
            io.spawn(async move {
                sleep.await;
                fired.set(fired.get() + 1);
                drop(inside);
            })
            .detach();
        }
        let mut never: Vec<_> = (0..1000).map(|_| io.sleep(Duration::from_secs(3600))).collect();
        never.iter_mut().for_each(|sleep| assert!(Pin::new(sleep).now_or_never().is_none()));
        drop(never);
        while fired.get() < 10_000 {
            io.sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn yielding_lets_sockets_and_tasks_go_on() {
    on_both(|io| async move {
        let (socket, mut client) = pair(&io).await;
        let received = Rc::new(Cell::new(false));
        let task = io.spawn({
            let (io, received) = (io.clone(), Rc::clone(&received));
            async move {
                io.recv_some(&socket).await.expect("a byte");
                received.set(true);
            }
        });
        std::io::Write::write_all(&mut client, b"x").expect("written");
        for _ in 0..100_000 {
            if received.get() {
                return task.await;
            }
            io.yield_now().await;
        }
        panic!("a busy task starves the sockets");
    });
}

#[test]
fn a_panic_ends_its_task_and_nothing_else() {
    on_both(|io| async move {
        let broken = io.spawn(async { panic!("on purpose") });
        let caught = std::panic::AssertUnwindSafe(broken).catch_unwind().await;
        let panic = caught.expect_err("it panicked");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
        io.spawn(async { panic!("unheard, on purpose") }).detach();
        io.yield_now().await;
        assert_eq!(io.spawn(async { 42 }).await, 42);
    });
}

#[test]
fn a_panic_of_main_is_an_error_of_the_core() {
    for engine in [EngineChoice::Ring, EngineChoice::Readiness] {
        let options = CoreOptions { engine, ..CoreOptions::default() };
        assert!(run_core(options, |_| async { panic!("on purpose") }).is_err());
    }
}

#[test]
fn wakes_and_tasks_come_from_other_threads() {
    on_both(|io| async move {
        let event = Arc::new(Event::new());
        let heard = Arc::new(AtomicUsize::new(0));
        let remote = io.remote();
        let other = std::thread::spawn({
            let (event, heard) = (Arc::clone(&event), Arc::clone(&heard));
            move || {
                for round in 1..=200 {
                    while heard.load(Ordering::SeqCst) < round - 1 {
                        std::thread::yield_now();
                    }
                    if round % 10 == 0 {
                        std::thread::park_timeout(Duration::from_millis(1)); // so that the core is asleep
                    }
                    let (event, heard) = (Arc::clone(&event), Arc::clone(&heard));
                    let posted = remote.spawn(async move |io: Io| {
                        io.yield_now().await;
                        heard.fetch_add(1, Ordering::SeqCst);
                        event.notify(usize::MAX);
                    });
                    assert_eq!(posted, Ok(()));
                }
            }
        });
        loop {
            let listener = event.listen();
            if heard.load(Ordering::SeqCst) == 200 {
                break;
            }
            listener.await;
        }
        other.join().expect("the other thread");
    });
}

#[test]
fn a_primitive_notified_elsewhere_wakes_a_sleeping_core() {
    on_both(|io| async move {
        let event = Arc::new(Event::new());
        for _ in 0..50 {
            let listener = event.listen();
            let event = Arc::clone(&event);
            let other = std::thread::spawn(move || {
                std::thread::park_timeout(Duration::from_micros(300));
                event.notify(1);
            });
            listener.await;
            other.join().expect("the other thread");
        }
        drop(io);
    });
}

#[test]
fn off_core_brings_results_and_panics_back() {
    on_both(|io| async move {
        let here = std::thread::current().id();
        let jobs: Vec<_> = (0..1000_u64)
            .map(|number| {
                io.off_core(move || {
                    assert_ne!(std::thread::current().id(), here);
                    number * 2
                })
            })
            .collect();
        let mut sum = 0;
        for job in jobs {
            sum += job.await;
        }
        assert_eq!(sum, 999_000);
        let broken = io.off_core(|| -> u8 { panic!("on purpose") });
        assert!(std::panic::AssertUnwindSafe(broken).catch_unwind().await.is_err());
        assert_eq!(io.off_core(|| 1).await, 1);
    });
}

/// Tells when it is dropped.
struct CountedDrop(Rc<Cell<usize>>);

impl Drop for CountedDrop {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn the_end_of_main_drops_every_task_and_awaits_every_operation() {
    for engine in [EngineChoice::Ring, EngineChoice::Readiness] {
        let told = Rc::new(Cell::new(0));
        let (send, receive) = mpsc::channel();
        let options = CoreOptions { engine, ..CoreOptions::default() };
        let count = Rc::clone(&told);
        run_core(options, |io| async move {
            let event = Rc::new(Event::new());
            for _ in 0..20 {
                let (inside, event, told) = (io.clone(), Rc::clone(&event), CountedDrop(Rc::clone(&count)));
                let (socket, client) = pair(&io).await;
                io.spawn(async move {
                    let slot = inside.take_slot().await;
                    let nested = inside.spawn(std::future::pending::<()>());
                    let (_, slot) = inside.recv_all(&socket, slot, 0..100).await;
                    drop((told, slot, nested, client));
                    event.listen().await;
                })
                .detach();
            }
            io.yield_now().await;
            send.send(io.remote()).expect("received below");
        })
        .expect("an orderly end");
        assert_eq!(told.get(), 20);
        let remote = receive.recv().expect("sent above");
        assert!(remote.spawn(async |_| ()).is_err(), "the core has ended");
        remote.wake();
    }
}

#[test]
fn what_was_lent_outlives_the_core() {
    for engine in [EngineChoice::Ring, EngineChoice::Readiness] {
        let kept = Rc::new(RefCell::new(None));
        let keep = Rc::clone(&kept);
        let options = CoreOptions { engine, slots: 2, ..CoreOptions::default() };
        run_core(options, |io| async move {
            let (socket, mut client) = pair(&io).await;
            std::io::Write::write_all(&mut client, b"kept").expect("written");
            let chunk = io.recv_some(&socket).await.expect("bytes");
            let mut slot = io.take_slot().await;
            slot.fill(7);
            // An operation that is never polled again: cancelled and awaited by the core's end.
            let pending = io.recv(&socket, Buf::heap(10), 0..10);
            *keep.borrow_mut() = Some((chunk, slot, pending, client));
        })
        .expect("an orderly end");
        let (chunk, slot, pending, _client) = kept.take().expect("kept");
        assert_eq!(&chunk[..], b"kept");
        assert!(slot.iter().all(|byte| *byte == 7));
        drop((chunk, slot, pending));
    }
}

#[test]
fn cores_say_who_they_are() {
    on_both(|io| async move {
        let engine = io.engine().to_string();
        assert_eq!(std::thread::current().name().map(str::to_lowercase), Some(engine));
        assert_eq!(io.core(), 0);
        assert!(!crate::driver::allowed_cpus().is_empty());
        assert!(io.now() <= Instant::now());
        assert!(!Buf::heap(1).is_slot());
    });
}

#[test]
fn a_core_stays_on_its_cpu_and_its_helpers_do_not() {
    let cpu = *crate::driver::allowed_cpus().last().expect("at least one");
    let options = CoreOptions { cpu: Some(cpu), ..CoreOptions::default() };
    let core = std::thread::spawn(move || {
        run_core(options, move |io| async move {
            assert_eq!(rustix::thread::sched_getcpu(), cpu);
            let helper = io.off_core(|| rustix::thread::sched_getaffinity(None).map(|set| set.count()));
            let count = helper.await.expect("a mask");
            assert_eq!(count as usize, crate::driver::allowed_cpus().len());
        })
    });
    core.join().expect("the core's thread").expect("an orderly end");
}
