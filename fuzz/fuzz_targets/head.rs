//! A request head: no panic, one verdict for any split, and what is forwarded reads back as the same request.
#![no_main]

use etransfer_contract::link::METHOD;
use etransfer_dataplane::testing::http::{Framing, Head, HeadLimits, HeadScan, Method, forwarded_head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], Vec<u16>)| {
    let (bytes, cuts) = input;
    let limits = HeadLimits::default();
    let whole = Head::parse(bytes, &limits);

    let mut scan = HeadScan::default();
    let mut end = 0_usize;
    let mut split = Ok(None);
    for step in cuts.iter().map(|cut| usize::from(*cut)).chain([usize::MAX]) {
        end = bytes.len().min(end.saturating_add(step));
        split = Head::parse_on(&mut scan, &bytes[..end], &limits);
        if !matches!(split, Ok(None)) {
            break;
        }
    }
    match (&whole, &split) {
        (Ok(None), Ok(None)) => {}
        (Err(one), Err(other)) => assert_eq!(one, other),
        (Ok(Some((one, one_end))), Ok(Some((other, other_end)))) => {
            assert_eq!((one_end, one.target(), one.framing()), (other_end, other.target(), other.framing()));
            assert!(one.fields().eq(other.fields()));
        }
        _ => panic!("{whole:?} whole, {split:?} in pieces"),
    }

    let Ok(Some((head, _))) = whole else { return };
    if head.objection().is_some() {
        return;
    }
    let forwarded = forwarded_head(&head, &[], Framing::None);
    if head.host().is_none() {
        return;
    }
    // Forwarding may lengthen a head by little; only a head near the limits can fail then.
    match Head::parse(&forwarded, &limits) {
        Ok(Some((again, end))) => {
            assert_eq!(end, forwarded.len());
            assert_eq!((again.target(), again.host(), again.framing()), (head.target(), head.host(), Framing::None));
            let method = if head.method() == Method::Head { Method::Get } else { head.method() };
            assert_eq!(again.method(), method);
            let ours = again.fields().filter(|(name, _)| name.to_ascii_lowercase().starts_with("etransfer-"));
            let expected = usize::from(head.method() == Method::Head);
            assert_eq!(ours.inspect(|(name, _)| assert_eq!(*name, METHOD)).count(), expected);
        }
        Ok(None) => panic!("a forwarded head has no end"),
        Err(reject) => assert_eq!(reject.verdict().status / 10, 43, "a forwarded head is refused: {reject:?}"),
    }
});
