//! Orders: a long poll that brings the epoch, requests the inventory after a restart, and orders removals.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Fact;
use etransfer_contract::link::{self, ORDERS_PATH};
use etransfer_contract::order::{NodeFacts, Order, Orders, OrdersQuery, What};
use futures_util::StreamExt;

use crate::bounds::{ORDERS_AT_ONCE, ORDERS_POLL_WAIT};
use crate::core::Core;
use crate::link::{ControlLink, ControlLinkError};

/// Pause after a failed poll.
const RETRY: Duration = Duration::from_millis(100);

/// Follows the control plane forever; one task of one core runs this. `carry_out` executes an order beside the polls, so
/// that an epoch never waits for a removal; it returns the object whose removal was not recorded.
pub async fn follow_orders<F>(core: Rc<Core>, carry_out: impl Fn(Rc<Core>, What) -> F + Clone + 'static)
where
    F: Future<Output = Option<ObjectId>> + 'static,
{
    // Its own connection: a held poll must not occupy a turn of the requests.
    let link = ControlLink::new(core.io.clone(), core.shared.config.control_socket.clone());
    let mut control_run = 0;
    let mut after = 0;
    // Removals whose record could not be written: each is ordered once, so this side tries them again.
    let mut undone: Vec<ObjectId> = Vec::new();
    let mut work: Option<Work> = None;
    loop {
        let is_busy = work.is_some();
        let (answer, done) = poll_beside(pin!(poll(&core, &link, control_run, after, is_busy)), &mut work).await;
        if let Some(done) = done {
            undone = done.undone;
            if done.control_run == control_run {
                after = done.after.max(after);
            }
        }
        match answer {
            Ok(orders) => {
                if orders.control_run != control_run {
                    tracing::info!(control_run = orders.control_run, "connected to the control plane");
                    control_run = orders.control_run;
                    after = 0;
                }
                // A restarted control plane may not know it yet; it continues above it with the next poll.
                core.shared.epoch.fetch_max(orders.epoch, Ordering::Relaxed);
                if orders.inventory {
                    begin_inventory(&core, orders.control_run, &orders.first);
                }
                core.shared.budgets.settle_unused(&core.shared.facts, &orders.unheard);
                set_ready(&core, true);
                if work.is_none() && !(orders.orders.is_empty() && undone.is_empty()) {
                    let batch = carry_out_all(
                        Rc::clone(&core),
                        control_run,
                        orders.orders,
                        std::mem::take(&mut undone),
                        carry_out.clone(),
                    );
                    work = Some(Box::pin(batch));
                }
            }
            Err(error) => {
                if core.shared.control_ready.load(Ordering::Relaxed) {
                    tracing::warn!(%error, "the control plane is away; transfers with a grant continue");
                }
                set_ready(&core, false);
                core.io.sleep(RETRY).await;
            }
        }
    }
}

/// Orders of one answer, being carried out.
type Work = Pin<Box<dyn Future<Output = Done>>>;

/// The result of the orders of one answer.
struct Done {
    /// The run of the control plane that gave them.
    control_run: u64,
    /// Sequence number of the last one; 0: there was none.
    after: u64,
    /// Removals that are not even recorded.
    undone: Vec<ObjectId>,
}

/// Waits for the answer to a poll while the work goes on.
async fn poll_beside<T>(mut poll: Pin<&mut impl Future<Output = T>>, work: &mut Option<Work>) -> (T, Option<Done>) {
    let mut done = None;
    let answer = std::future::poll_fn(|context| {
        if let Some(batch) = work
            && let Poll::Ready(came) = batch.as_mut().poll(context)
        {
            (done, *work) = (Some(came), None);
        }
        poll.as_mut().poll(context)
    })
    .await;
    (answer, done)
}

/// Carries out orders, a few at a time: what an earlier answer left undone, then these.
async fn carry_out_all<F>(
    core: Rc<Core>,
    control_run: u64,
    orders: Vec<Order>,
    undone: Vec<ObjectId>,
    carry_out: impl Fn(Rc<Core>, What) -> F,
) -> Done
where
    F: Future<Output = Option<ObjectId>>,
{
    let after = orders.last().map_or(0, |order| order.sequence);
    let again = undone.into_iter().map(|object| What::Remove { object, unless_written_since_unix_ms: None });
    let all = again.chain(orders.into_iter().map(|order| order.what));
    let done =
        futures_util::stream::iter(all.map(|what| carry_out(Rc::clone(&core), what))).buffer_unordered(ORDERS_AT_ONCE);
    let undone = done.filter_map(std::future::ready).collect().await;
    Done { control_run, after, undone }
}

async fn poll(
    core: &Core,
    link: &ControlLink,
    control_run: u64,
    after: u64,
    busy: bool,
) -> Result<Orders, ControlLinkError> {
    let query = OrdersQuery {
        version: link::VERSION,
        run: core.shared.run,
        control_run,
        epoch: core.shared.epoch.load(Ordering::Relaxed),
        after,
        busy,
        node: node_facts(core),
    };
    let (status, body) = link.post(ORDERS_PATH, &query, ORDERS_POLL_WAIT).await?;
    let orders = serde_json::from_slice(&body).map_err(|_| ControlLinkError::Garbled);
    if status == 200 {
        orders
    } else {
        tracing::error!(status, body = %String::from_utf8_lossy(&body), "orders were refused");
        Err(ControlLinkError::Garbled)
    }
}

fn node_facts(core: &Core) -> NodeFacts {
    let space = core.objects.space().ok();
    NodeFacts {
        engine: core.io.engine().to_string(),
        cores: core.shared.cores,
        addresses: core.shared.addresses.iter().map(ToString::to_string).collect(),
        separate: core.shared.separate.iter().map(ToString::to_string).collect(),
        degraded: core.shared.store.degraded(),
        damaged: core.shared.store.damaged_count(),
        quarantined: core.shared.store.quarantined_count(),
        removals_due: core.shared.store.removals_due(),
        disk_free: space.map_or(0, |space| space.free),
        disk_size: space.map_or(0, |space| space.size),
        transfers: core.shared.transfers.open(),
    }
}

/// The control plane (re)started: queues every reservation in use, the objects it cannot decide without, every completion and
/// removal it has not confirmed, and the sum of all bytes. The pages of the inventory follow while the node serves.
fn begin_inventory(core: &Core, control_run: u64, first: &[ObjectId]) {
    let (store, facts) = (&core.shared.store, &core.shared.facts);
    core.shared.budgets.report_open(facts);
    for object in first.iter().filter_map(|id| store.find(*id)) {
        if let Some(presence) = store.recorded_presence(object.id()) {
            facts.push_of(&object, Fact::Progress(presence));
        }
    }
    store.unconfirmed().into_iter().for_each(|fact| facts.push(fact));
    facts.push(Fact::Stored { bytes: store.bytes() });
    facts.begin_inventory(control_run);
}

fn set_ready(core: &Core, ready: bool) {
    core.shared.control_ready.store(ready, Ordering::Release);
    if ready {
        core.shared.control_event.notify(usize::MAX);
    }
}
