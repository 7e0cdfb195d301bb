//! What the bucket's rules are, and what they are to be: pure.

use rekindle_engine::environment::{Lifecycle, Provider};
use rekindle_engine::host::{Bucket, LifecycleRule};

use super::{gcs, s3};

/// A declaration for one place: the objects below a prefix of a bucket.
pub(super) struct Declared<'a> {
    pub(super) lifecycle: &'a Lifecycle,
    pub(super) provider: Provider,
    /// The whole prefix in the bucket.
    pub(super) prefix: String,
}

/// What has to be done to a bucket's rules.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// Ours that are no longer to be.
    pub(super) remove: Vec<LifecycleRule>,
    /// Ours that are missing.
    pub(super) add: Vec<LifecycleRule>,
    /// Ours that are right.
    pub(super) same: Vec<LifecycleRule>,
    /// Those that others made: they stay.
    pub(super) others: Vec<LifecycleRule>,
}

impl<'a> Declared<'a> {
    /// Gives nothing for a place without rules: a folder.
    pub(super) fn new(lifecycle: &'a Lifecycle, bucket: &dyn Bucket) -> Option<Self> {
        let prefix = bucket.prefix() + lifecycle.prefix.as_deref().unwrap_or_default();
        Some(Self { lifecycle, provider: bucket.provider()?, prefix })
    }

    /// Gives the rules in the provider's form.
    pub(super) fn rules(&self) -> Vec<LifecycleRule> {
        let values = match self.provider {
            Provider::S3 => {
                s3::compile(self.lifecycle, &self.prefix).iter().map(serde_json::to_value).collect::<Vec<_>>()
            }
            Provider::Gcs => {
                gcs::compile(self.lifecycle, &self.prefix).iter().map(serde_json::to_value).collect()
            }
        };
        // Numbers and texts always have a form.
        values.into_iter().flatten().collect()
    }

    fn is_ours(&self, rule: &LifecycleRule) -> bool {
        match self.provider {
            Provider::S3 => s3::is_ours(rule, self.lifecycle, &self.prefix),
            Provider::Gcs => gcs::is_ours(rule, &self.prefix),
        }
    }

    fn same(&self, one: &LifecycleRule, other: &LifecycleRule) -> bool {
        match self.provider {
            Provider::S3 => s3::parse(one).is_some_and(|one| Some(one) == s3::parse(other)),
            Provider::Gcs => gcs::parse(one).is_some_and(|one| Some(one) == gcs::parse(other)),
        }
    }

    pub(super) fn describe(&self, rule: &LifecycleRule) -> String {
        match self.provider {
            Provider::S3 => s3::describe(rule),
            Provider::Gcs => gcs::describe(rule),
        }
    }

    /// Tells whether a rule concerns some of the same objects.
    fn meets(&self, rule: &LifecycleRule) -> bool {
        let prefixes = match self.provider {
            Provider::S3 => vec![s3::prefix_of(rule)],
            Provider::Gcs => gcs::prefixes_of(rule),
        };
        prefixes
            .into_iter()
            .any(|prefix| prefix.starts_with(self.prefix.as_str()) || self.prefix.starts_with(prefix))
    }

    /// Compares the bucket's rules with the declared ones.
    pub(super) fn compare(&self, present: &[LifecycleRule]) -> Difference {
        let mut difference = Difference { add: self.rules(), ..Difference::default() };
        for rule in present {
            if !self.is_ours(rule) {
                difference.others.push(rule.clone());
                continue;
            }
            match difference.add.iter().position(|wanted| self.same(wanted, rule)) {
                Some(place) => {
                    difference.add.remove(place);
                    difference.same.push(rule.clone());
                }
                None => difference.remove.push(rule.clone()),
            }
        }
        difference
    }

    /// Says what is different, a line each, and what else is worth knowing.
    pub(super) fn lines(&self, difference: &Difference) -> Vec<String> {
        let mut lines = Vec::new();
        let mut say = |what: &str, rules: &[LifecycleRule]| {
            lines.extend(rules.iter().map(|rule| format!("{what} {}", self.describe(rule))));
        };
        say("remove", &difference.remove);
        say("add", &difference.add);
        say("already there:", &difference.same);
        for rule in &difference.others {
            let also = if self.meets(rule) { ", and about some of the same objects" } else { "" };
            lines.push(format!("not declared here{also}, stays: {}", self.describe(rule)));
        }
        lines.extend(self.lifecycle.transitions.iter().filter_map(|to| {
            let retrieval = self.provider.retrieval(&to.class);
            let retrieval = rekindle_engine::values::DurationText(retrieval);
            (!retrieval.0.is_zero())
                .then(|| format!("what is older than {} can be read only after up to {retrieval}", to.after))
        }));
        lines
    }
}

impl Difference {
    /// Tells whether nothing has to be done.
    pub(super) fn is_none(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}
