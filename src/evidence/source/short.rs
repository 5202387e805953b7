//! What an address lacks of a shared source, for whoever asks why it counts as a person's.

use super::{ENOUGH, Reason, Sign, SourceFacts, SourceSettings, Trait};

impl SourceSettings {
    /// What an address that is a person's has of what tells of shared sources, each with the setting that
    /// it did not reach, and how far signs of several machines together are from enough. What every
    /// machine has is no sign.
    pub fn short_of(&self, device: &str, facts: &SourceFacts) -> Vec<String> {
        if self.said(device, facts).is_some() {
            return vec!["known says that it is a person".into()];
        }
        let of_one = |sign: &Sign| match sign.what {
            Some(Trait::TimeToLive | Trait::OptionOrder | Trait::Clock) => 1,
            _ => 0,
        };
        let signs = self.signs(facts).into_iter().filter(|sign| sign.reached > of_one(sign));
        signs
            .map(|sign| {
                let reached = sign.reached;
                let Some(what) = sign.what else {
                    let settings: Vec<_> = sign.settings.iter().map(|(name, _)| *name).collect();
                    let settings = settings.join(", ");
                    return format!(
                        "together {reached} of {ENOUGH} per cent of a crowd ({settings})"
                    );
                };
                let (name, least) = sign.settings[0];
                let but = match sign.reason {
                    _ if reached < least => "",
                    Reason::MailRelay => ", but hands none on",
                    _ if facts.accepted <= facts.opened => ", but opens as many as it accepts",
                    _ => ", but somebody works at it (server_hello_shapes)",
                };
                format!("{reached} {} ({name} = {least}{but})", what.as_str())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::super::{Known, Verdict};
    use super::*;

    #[test]
    fn what_a_person_lacks_of_a_shared_source_is_told() {
        let settings = SourceSettings::default();
        let short = |traits: &[(Trait, u64)], accepted| {
            let facts = facts(traits, accepted, 10);
            assert_eq!(settings.reason("10.0.0.9", &facts), None);
            settings.short_of("10.0.0.9", &facts)
        };
        let of_one = [(Trait::TimeToLive, 1), (Trait::OptionOrder, 1), (Trait::Clock, 1)];
        assert!(short(&of_one, 0).is_empty(), "every machine has these");
        let clients = "clients that it served (server_clients = 8";
        assert_eq!(short(&[(Trait::Serves, 3)], 0), [format!("3 {clients})")]);
        assert_eq!(
            short(&[(Trait::Serves, 9)], 10),
            [format!("9 {clients}, but opens as many as it accepts)")]
        );
        let works = [(Trait::Serves, 9), (Trait::HelloShape, 6)];
        let told = short(&works, 50);
        assert!(told[1].ends_with("but somebody works at it (server_hello_shapes))"), "{told:?}");
        let mail = "9 clients that it took mail from (mail_clients = 2, but hands none on)";
        assert_eq!(short(&[(Trait::TakesMail, 9)], 0), [mail]);
        let several = short(&[(Trait::TimeToLive, 2), (Trait::PushChannel, 10)], 0);
        let together =
            "together 75 of 100 per cent of a crowd (nat_mixed_times_to_live, nat_push_channels)";
        assert_eq!(several.last().map(String::as_str), Some(together), "{several:?}");
        let mut settings = settings;
        let network = "10.0.0.9/32".parse().unwrap();
        settings.known.push(Known { network, verdict: Verdict::Person });
        let crowd = facts(&[(Trait::TimeToLive, 3)], 0, 10);
        assert_eq!(settings.short_of("10.0.0.9", &crowd), ["known says that it is a person"]);
    }
}
