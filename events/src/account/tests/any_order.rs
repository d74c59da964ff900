//! What the account shows is what its inputs say, whatever happened in whatever order.

use super::*;
use proptest::prelude::*;

fn any_command() -> impl Strategy<Value = (u8, Command)> {
    let master = || prop::sample::select(vec!["M_1", "M_2"]).prop_map(account_id);
    let note = (master(), any::<bool>()).prop_map(|(master, on)| match on {
        true => MasterNote { master, status: RuntimeStatus::Connected, warnings: Warnings::NONE },
        false => {
            let warnings = Warnings::NONE.with(Warning::MasterOffline);
            MasterNote { master, status: RuntimeStatus::Disabled, warnings }
        }
    });
    let command = prop_oneof![
        any::<bool>()
            .prop_map(|trade_allowed| Command::Register(Box::new(Registered { trade_allowed, ..registered() }))),
        any::<bool>().prop_map(|allowed| Command::Heartbeat(heartbeat(allowed))),
        Just(Command::Unregister),
        Just(Command::CheckSilence),
        any::<bool>().prop_map(|enabled| Command::SetIntent { enabled }),
        master().prop_map(|master: AccountId| Command::Link { master, enabled: true, settings: Box::default() }),
        master().prop_map(|master: AccountId| Command::Unlink { master, wind_down: None, expected: None }),
        note.prop_map(Command::NoteMaster),
    ];
    (0u8..40, command)
}

proptest! {
    #[test]
    fn the_status_is_always_the_one_that_follows(
        role in prop::sample::select(vec![Role::Master, Role::Slave]),
        commands in prop::collection::vec(any_command(), 1..40),
    ) {
        let mut case = Case::new(role);
        for (seconds, command) in commands {
            case.passes(seconds.into());
            let before = case.account.clone();
            let Ok((events, effects)) = case.does(command) else { continue };
            let changed = (before.status, before.warnings) != (case.account.status, case.account.warnings);
            let changes = events.iter().filter(|event| matches!(event, Event::StatusChanged(_))).count();
            prop_assert_eq!(changes, usize::from(changed));
            let told: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::ConfigDue { .. })).collect();
            if before.config() == case.account.config() {
                prop_assert_eq!(told, Vec::<&Effect>::new());
            } else {
                let config = Box::new(case.account.config());
                prop_assert!(config.version > before.config().version);
                prop_assert_eq!(told, [&Effect::ConfigDue { stream: case.account.stream(), config }]);
            }
            let Account { status, warnings, .. } = case.account;
            if !events.is_empty() {
                prop_assert_eq!(Evaluation { status, warnings }, case.account.evaluate());
                for link in case.account.links.values() {
                    let evaluated = case.account.evaluate_link(link);
                    prop_assert_eq!((link.status, link.warnings), (evaluated.status, evaluated.warnings));
                }
            }
        }
    }
}
