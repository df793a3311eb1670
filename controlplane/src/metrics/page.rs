//! Families of numbers that are read when they are asked for: one call per family, one row per set of labels.

use std::fmt::Error;

use etransfer_contract::counters::Histogram;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Where families are written to.
pub struct Page<'e>(pub DescriptorEncoder<'e>);

/// Name, help and unit of a family. The page adds `et_` before the name, and the unit and `_total` behind it.
pub struct Family<'f> {
    /// Without prefix and unit.
    pub name: &'f str,
    /// One sentence.
    pub help: &'f str,
    /// `None`: a plain number of things.
    pub unit: Option<Unit>,
}

impl<'f> Family<'f> {
    /// A number of things.
    pub fn count(name: &'f str, help: &'f str) -> Self {
        Self { name, help, unit: None }
    }

    /// A number of bytes.
    pub fn bytes(name: &'f str, help: &'f str) -> Self {
        Self { name, help, unit: Some(Unit::Bytes) }
    }

    /// Seconds.
    pub fn seconds(name: &'f str, help: &'f str) -> Self {
        Self { name, help, unit: Some(Unit::Seconds) }
    }

    /// From 0 to 1.
    pub fn ratio(name: &'f str, help: &'f str) -> Self {
        Self { name, help, unit: Some(Unit::Other("ratio".into())) }
    }

    /// Bytes a second.
    pub fn rate(name: &'f str, help: &'f str) -> Self {
        Self { name, help, unit: Some(Unit::Other("bytes_per_second".into())) }
    }
}

impl Page<'_> {
    /// One number that only grows.
    pub fn counter(&mut self, family: Family<'_>, value: u64) -> Result<(), Error> {
        write_counter(self.begin(&family, MetricType::Counter)?, value)
    }

    /// One number that comes and goes.
    pub fn gauge(&mut self, family: Family<'_>, value: f64) -> Result<(), Error> {
        write_gauge(self.begin(&family, MetricType::Gauge)?, value)
    }

    /// Waiting times.
    pub fn histogram(&mut self, family: Family<'_>, value: &Histogram) -> Result<(), Error> {
        write_histogram(self.begin(&family, MetricType::Histogram)?, value)
    }

    /// Numbers that only grow, by labels.
    pub fn counters<L: EncodeLabelSet>(
        &mut self,
        family: Family<'_>,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> Result<(), Error> {
        let mut metric = self.begin(&family, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, value)| write_counter(metric.encode_family(&labels)?, value))
    }

    /// Numbers that come and go, by labels.
    pub fn gauges<L: EncodeLabelSet>(
        &mut self,
        family: Family<'_>,
        rows: impl IntoIterator<Item = (L, f64)>,
    ) -> Result<(), Error> {
        let mut metric = self.begin(&family, MetricType::Gauge)?;
        rows.into_iter().try_for_each(|(labels, value)| write_gauge(metric.encode_family(&labels)?, value))
    }

    /// Waiting times by labels.
    pub fn histograms<L: EncodeLabelSet>(
        &mut self,
        family: Family<'_>,
        rows: impl IntoIterator<Item = (L, Histogram)>,
    ) -> Result<(), Error> {
        let mut metric = self.begin(&family, MetricType::Histogram)?;
        rows.into_iter().try_for_each(|(labels, value)| write_histogram(metric.encode_family(&labels)?, &value))
    }

    fn begin<'s>(&'s mut self, family: &'s Family<'_>, kind: MetricType) -> Result<MetricEncoder<'s>, Error> {
        // The registry ends the sentence of its own families; collectors do it themselves.
        let help = format!("{}.", family.help);
        self.0.encode_descriptor(family.name, &help, family.unit.as_ref(), kind)
    }
}

fn write_counter(mut row: MetricEncoder<'_>, value: u64) -> Result<(), Error> {
    row.encode_counter::<NoLabelSet, _, f64>(&value, None)
}

fn write_gauge(mut row: MetricEncoder<'_>, value: f64) -> Result<(), Error> {
    row.encode_gauge(&value)
}

fn write_histogram(mut row: MetricEncoder<'_>, value: &Histogram) -> Result<(), Error> {
    let buckets: Vec<(f64, u64)> = value.buckets().collect();
    row.encode_histogram::<NoLabelSet>(value.sum_s(), value.count(), &buckets, None)
}
