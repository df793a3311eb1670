//! The text of `Date`, made once a second per core.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

thread_local! {
    static NOW: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Gives `use_text` the current IMF-fixdate (RFC 9110 §5.6.7).
pub(super) fn with_now<T>(use_text: impl FnOnce(&str) -> T) -> T {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    NOW.with_borrow_mut(|(of, text)| {
        if *of != seconds {
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            *of = seconds;
        }
        use_text(text)
    })
}
