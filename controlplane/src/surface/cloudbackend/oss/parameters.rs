//! The query of a request to the bucket. Of a repeated parameter the first counts (CONTRACT.md §B6).

use super::refusal::Refusal;
use crate::core::percent;

/// Parameters in order.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// These, decoded.
    pub fn of<const N: usize>(pairs: [(&str, String); N]) -> Self {
        Self(pairs.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Splits and decodes; `+` is a space.
    pub fn parse(query: Option<&str>) -> Result<Self, Refusal> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        };
        pairs.map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// The value of a parameter; empty when it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn decode(text: &str) -> Result<String, Refusal> {
    const BROKEN: Refusal = Refusal::InvalidArgument("A query parameter cannot be decoded.");
    percent::decode(&text.replace('+', " ")).map_err(|_undecodable| BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_the_first_of_a_repeated_parameter_counts() {
        let parameters = Parameters::parse(Some("a=1&a=2&objectMeta=&acl&b=x%20y+z%2B&&=v")).unwrap();
        for (name, value) in
            [("a", Some("1")), ("objectMeta", Some("")), ("acl", Some("")), ("b", Some("x y z+")), ("c", None)]
        {
            assert_eq!(parameters.get(name), value, "{name}");
        }
        assert!(Parameters::parse(Some("a=%f")).is_err());
        assert!(Parameters::parse(Some("a=%ff")).is_err());
    }
}
