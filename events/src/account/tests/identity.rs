//! Who an account is, and what it must not say.

use super::*;

#[test]
fn a_registration_says_who_the_account_is() {
    let mut case = Case::new(Role::Master);
    case.does(Command::Register(Box::new(registered()))).unwrap();
    let renamed = Registered { name: "Bert".into(), leverage: 30, currency: "USD".into(), ..registered() };
    case.does(Command::Register(Box::new(renamed))).unwrap();
    let known = case.account.identity.unwrap();
    assert_eq!((known.name.as_str(), known.leverage, known.currency.as_str()), ("Bert", 30, "USD"));
}

#[test]
fn texts_are_checked_before_they_are_repeated_to_anybody() {
    type Field = (&'static str, fn(&mut Registered) -> &mut String);
    let fields: [Field; 6] = [
        ("platform", |registered| &mut registered.platform),
        ("broker", |registered| &mut registered.broker),
        ("server", |registered| &mut registered.server),
        ("name", |registered| &mut registered.name),
        ("currency", |registered| &mut registered.currency),
        ("ea_version", |registered| &mut registered.ea_version),
    ];
    for (field, text) in fields {
        for (bad, good) in [("x".repeat(101), "ä".repeat(100)), ("a\nb".into(), "a b".into())] {
            for mut case in [Case::new(Role::Slave), Case::online(Role::Slave)] {
                let mut claim = registered();
                *text(&mut claim) = bad.clone();
                assert_eq!(case.refuses(Command::Register(Box::new(claim))), Refusal::TextInvalid { field });
            }
            let mut claim = registered();
            *text(&mut claim) = good;
            Case::new(Role::Slave).does(Command::Register(Box::new(claim))).unwrap();
        }
    }
}

#[test]
fn an_account_stays_with_its_broker_and_server() {
    let mut case = Case::online(Role::Master);
    for other in
        [Registered { broker: "Other".into(), ..registered() }, Registered { server: "Other".into(), ..registered() }]
    {
        let claimed = format!("{} ({})", other.broker, other.server);
        let known = "IC Markets (ICMarkets-Live07)".to_string();
        assert_eq!(case.refuses(Command::Register(Box::new(other))), Refusal::IdentityMismatch { known, claimed });
    }
}

#[test]
fn who_never_registered_is_unknown() {
    for command in [
        Command::Heartbeat(heartbeat(true)),
        Command::Unregister,
        Command::SetIntent { enabled: true },
        Command::SetIntent { enabled: false },
    ] {
        for locked in [false, true] {
            let mut case = Case { locked, ..Case::new(Role::Slave) };
            assert_eq!(case.refuses(command.clone()), Refusal::AccountUnknown, "{command:?}");
        }
    }
}

#[test]
fn a_locked_desk_lets_things_be_switched_off_only() {
    let mut case = Case::online(Role::Master);
    case.does(Command::SetIntent { enabled: true }).unwrap();
    case.locked = true;
    assert_eq!(case.refuses(Command::SetIntent { enabled: true }), Refusal::DeskLocked);
    case.does(Command::SetIntent { enabled: false }).unwrap();
    assert_eq!(case.refuses(Command::SetIntent { enabled: true }), Refusal::DeskLocked);
}
