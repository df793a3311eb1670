//! The text of `Date`, made once a second per core.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

thread_local! {
    static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Gives `use_text` the IMF-fixdate (RFC 9110 §5.6.7) of `now`, since 1970.
pub(super) fn with_text<T>(now: Duration, use_text: impl FnOnce(&str) -> T) -> T {
    let seconds = now.as_secs();
    LAST.with_borrow_mut(|(of, text)| {
        if *of != seconds {
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
            *of = seconds;
        }
        use_text(text)
    })
}
