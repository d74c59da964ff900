use super::*;
use crate::answer::Status;
use crate::commit::Hash;
use crate::copy::settings::Overrides;
use crate::id::{CredentialId, Position, Role, Version};
use crate::sample::{START, account_id, credential, desk_id, reason, user};
use crate::stream::{Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};

/// A desk with a clock: commands are decided and what follows is remembered.
#[derive(Clone, Default)]
struct Case {
    desk: Desk,
    now: Timestamp,
    version: u64,
}

impl Case {
    fn new() -> Self {
        let mut case = Case { now: START, ..Case::default() };
        case.does(Command::Open { desk: desk_id(), build: "0.1.0".into() });
        case
    }

    /// With anna, who is an admin, and ben, who is a viewer.
    fn with_people() -> Self {
        let mut case = Case::new();
        case.does(add("anna", Access::Admin));
        case.does(add("ben", Access::Viewer));
        case
    }

    fn tries(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        let settings = self.desk.settings.clone();
        let listening_since = self.desk.listening_since;
        let (now, copy_defaults) = (self.now, Overrides::default());
        let seen = Seen {
            now,
            received_at: now,
            sent_at: now,
            listening_since,
            settings: &settings,
            locked: false,
            copy_defaults: &copy_defaults,
            stopped: None,
            endpoints: crate::endpoint::Directory::EMPTY,
        };
        let decided = self.desk.decide(command, &seen)?;
        assert_eq!(decided.effects, []);
        decided.events.iter().for_each(|event| self.remembers(event));
        Ok(decided.events)
    }

    fn remembers(&mut self, event: &Event) {
        self.version += 1;
        let (position, version) = (Position(self.version), Version(self.version));
        self.desk.evolve(event, &Stamp { position, version, received_at: self.now, recorded_at: self.now });
    }

    fn does(&mut self, command: Command) -> Vec<&'static str> {
        let events = self.tries(command).unwrap();
        events.iter().map(|event| event.kind().name).collect()
    }

    fn refuses(&mut self, command: Command) -> Refusal {
        let before = self.desk.clone();
        let refusal = self.tries(command).unwrap_err();
        assert_eq!(self.desk, before, "a refusal changed something");
        refusal
    }

    fn passes(&mut self, seconds: i64) {
        self.now = self.now + Span::seconds(seconds);
    }
}

fn add(name: &str, access: Access) -> Command {
    Command::AddUser { name: user(name), access, credential: credential(100) }
}
fn remove(name: &str) -> Command {
    Command::RemoveUser { name: user(name) }
}
fn role(name: &str, access: Access) -> Command {
    Command::ChangeRole { name: user(name), access }
}
fn invite(name: &str, number: u64, seconds: i64) -> Command {
    let expires_at = START + Span::seconds(seconds);
    Command::Invite { name: user(name), access: Access::Operator, credential: credential(number), expires_at }
}
fn accept(number: u64, name: &str) -> Command {
    Command::AcceptInvite { invite: credential(number), name: user(name), credential: credential(200) }
}
fn session(name: &str, number: u64, seconds: i64) -> Command {
    let (session, expires_at) = (credential(number), START + Span::seconds(seconds));
    Command::StartSession { session, name: user(name), expires_at, peer: "192.0.2.1".into() }
}
fn end(number: u64) -> Command {
    Command::EndSession { session: credential(number), why: SessionEnd::LoggedOut }
}
fn token(name: &str, number: u64) -> Command {
    Command::CreateToken { token: credential(number), name: name.into(), access: Access::Viewer, expires_at: None }
}
fn ended(number: u64, why: SessionEnd) -> Event {
    Event::SessionEnded(SessionEnded { session: credential(number), why })
}
fn sessions(case: &Case) -> Vec<CredentialId> {
    case.desk.sessions.keys().copied().collect()
}

#[test]
fn a_desk_is_opened_once() {
    let mut case = Case::new();
    assert_eq!((case.desk.id, case.desk.listening_since), (Some(desk_id()), START));
    assert_eq!(case.refuses(Command::Open { desk: desk_id(), build: "0.2.0".into() }), Refusal::OpenAlready);
}

#[test]
fn each_setting_has_its_bounds() {
    type Set = fn(&mut Settings);
    let bad: [(&str, Set); 9] = [
        ("name", |settings| settings.name = String::new()),
        ("name", |settings| settings.name = "ä".repeat(65)),
        ("name", |settings| settings.name = "a\tb".into()),
        ("timeout_seconds", |settings| settings.timeout_seconds = 0),
        ("timeout_seconds", |settings| settings.timeout_seconds = 1),
        ("timeout_seconds", |settings| settings.timeout_seconds = 3601),
        ("session_hours", |settings| settings.session_hours = 0),
        ("session_hours", |settings| settings.session_hours = 721),
        // The first complaint is that of the first field.
        ("name", |settings| *settings = Settings { name: String::new(), timeout_seconds: 0, session_hours: 0 }),
    ];
    for (expected, set) in bad {
        let mut settings = Settings::default();
        set(&mut settings);
        match Case::new().refuses(Command::ChangeSettings(settings)) {
            Refusal::SettingInvalid { field, .. } => assert_eq!(field, expected),
            other => panic!("{expected}: {other}"),
        }
    }
    let good: [Set; 6] = [
        |settings| settings.name = "x".into(),
        |settings| settings.name = "ä".repeat(64),
        |settings| settings.timeout_seconds = 2,
        |settings| settings.timeout_seconds = 3600,
        |settings| settings.session_hours = 1,
        |settings| settings.session_hours = 720,
    ];
    for set in good {
        let mut settings = Settings::default();
        set(&mut settings);
        let mut case = Case::new();
        assert_eq!(case.does(Command::ChangeSettings(settings.clone())), ["settings_changed"]);
        assert_eq!((case.desk.settings.clone(), case.desk.revision), (settings.clone(), Version(2)));
        assert_eq!(case.does(Command::ChangeSettings(settings)), [""; 0], "the same again is no change");
    }
}

#[test]
fn a_lock_is_put_on_once_and_taken_off_once() {
    let mut case = Case::new();
    let (lock, unlock) = (Command::Lock { reason: reason("news") }, Command::Unlock { reason: reason("over") });
    assert_eq!(case.refuses(unlock.clone()), Refusal::NotLocked);
    assert_eq!(case.does(lock), ["desk_locked"]);
    assert_eq!(case.desk.locked, Some(reason("news")));
    assert_eq!(case.refuses(Command::Lock { reason: reason("again") }), Refusal::LockedAlready(reason("news")));
    assert_eq!(case.does(unlock.clone()), ["desk_unlocked"]);
    assert_eq!(case.refuses(unlock), Refusal::NotLocked);
}

#[test]
fn a_name_is_one_person() {
    let mut case = Case::with_people();
    assert_eq!(case.refuses(add("ben", Access::Admin)), Refusal::UserKnown(user("ben")));
    assert_eq!(case.refuses(invite("ben", 1, 60)), Refusal::UserKnown(user("ben")));
    for command in [remove("carl"), role("carl", Access::Admin)] {
        assert_eq!(case.refuses(command), Refusal::UserUnknown(user("carl")));
    }
    let password = Command::ChangePassword { name: user("carl"), credential: credential(1), keep: None };
    assert_eq!(case.refuses(password), Refusal::UserUnknown(user("carl")));
    assert_eq!(case.refuses(session("carl", 1, 60)), Refusal::UserUnknown(user("carl")));
}

#[test]
fn the_last_admin_stays() {
    let mut case = Case::with_people();
    let last = Refusal::LastAdmin(user("anna"));
    assert_eq!(case.refuses(remove("anna")), last);
    assert_eq!(case.refuses(role("anna", Access::Operator)), last);
    assert_eq!(case.does(role("anna", Access::Admin)), [""; 0], "the same role is no change");
    assert_eq!(case.does(role("ben", Access::Admin)), ["user_role_changed"]);
    assert_eq!(case.does(role("anna", Access::Viewer)), ["user_role_changed"]);
    assert_eq!(case.refuses(remove("ben")), Refusal::LastAdmin(user("ben")));
    assert_eq!(case.does(remove("anna")), ["user_removed"]);
    assert_eq!((case.desk.users.len(), case.desk.admins()), (1, 1));
}

#[test]
fn an_invitation_is_used_once() {
    let mut case = Case::with_people();
    assert_eq!(case.refuses(accept(1, "carl")), Refusal::InviteUnknown);
    case.does(invite("carl", 1, 60));
    assert_eq!(case.does(accept(1, "carl")), ["user_added"]);
    let carl = &case.desk.users[&user("carl")];
    assert_eq!((carl.access, carl.credential, carl.since), (Access::Operator, credential(200), START));
    assert_eq!(case.refuses(accept(1, "carla")), Refusal::InviteUnknown);
}

#[test]
fn an_invitation_expires_at_its_time() {
    let mut case = Case::new();
    case.does(invite("carl", 1, 60));
    case.passes(60);
    assert_eq!(case.refuses(accept(1, "carl")), Refusal::InviteUnknown);
    case.now = case.now - Span::micros(1);
    assert_eq!(case.does(accept(1, "carl")), ["user_added"]);
}

#[test]
fn a_second_invitation_takes_the_place_of_the_first() {
    let mut case = Case::new();
    case.does(invite("carl", 1, 60));
    case.does(invite("carl", 2, 60));
    assert_eq!(case.refuses(accept(1, "carl")), Refusal::InviteUnknown);
    case.does(accept(2, "carl"));
}

#[test]
fn an_invitation_can_be_taken_back() {
    let mut case = Case::with_people();
    case.does(invite("carl", 1, 60));
    assert_eq!(case.does(remove("carl")), ["user_removed"]);
    assert_eq!(case.refuses(accept(1, "carl")), Refusal::InviteUnknown);
    assert_eq!(case.refuses(remove("carl")), Refusal::UserUnknown(user("carl")));
}

#[test]
fn who_is_invited_may_choose_a_name_but_nobody_elses() {
    let mut case = Case::with_people();
    case.does(invite("carl", 1, 60));
    case.does(invite("dora", 2, 30));
    assert_eq!(case.refuses(accept(1, "anna")), Refusal::UserKnown(user("anna")));
    assert_eq!(case.refuses(accept(1, "dora")), Refusal::UserKnown(user("dora")));
    assert_eq!(case.does(accept(1, "carla")), ["user_added", "user_removed"]);
    assert!(case.desk.users.contains_key(&user("carla")) && !case.desk.users.contains_key(&user("carl")));
    assert_eq!(case.refuses(accept(1, "carl")), Refusal::InviteUnknown);
    assert_eq!(case.desk.invites.len(), 1);
}

#[test]
fn a_name_is_free_again_once_its_invitation_has_expired() {
    let mut case = Case::new();
    case.does(invite("carl", 1, 60));
    case.does(invite("dora", 2, 30));
    case.passes(30);
    assert_eq!(case.does(accept(1, "dora")), ["user_added", "user_removed"]);
}

#[test]
fn who_is_added_by_hand_needs_no_invitation() {
    let mut case = Case::new();
    case.does(invite("carl", 1, 60));
    case.does(add("carl", Access::Viewer));
    assert_eq!(case.refuses(accept(1, "carla")), Refusal::InviteUnknown);
    assert_eq!(case.desk.users[&user("carl")].access, Access::Viewer);
}

#[test]
fn expired_invitations_do_not_pile_up() {
    let mut case = Case::new();
    case.does(invite("carl", 1, 60));
    case.passes(60);
    case.does(invite("dora", 2, 120));
    assert_eq!(case.desk.invites.keys().collect::<Vec<_>>(), [&credential(2)]);
}

#[test]
fn a_new_password_ends_the_other_sessions_of_its_owner() {
    let mut case = Case::with_people();
    for (name, number) in [("anna", 1), ("anna", 2), ("ben", 3), ("anna", 4)] {
        case.does(session(name, number, 60));
    }
    let (name, keep) = (user("anna"), Some(credential(2)));
    let events = case.tries(Command::ChangePassword { name: name.clone(), credential: credential(9), keep }).unwrap();
    let changed = Event::PasswordChanged(PasswordChanged { name: name.clone(), credential: credential(9) });
    let why = SessionEnd::PasswordChanged;
    assert_eq!(events, [ended(1, why), ended(4, why), changed]);
    assert_eq!(sessions(&case), [credential(2), credential(3)]);
    assert_eq!(case.desk.users[&name].credential, credential(9));
    case.does(Command::ChangePassword { name, credential: credential(10), keep: None });
    assert_eq!(sessions(&case), [credential(3)]);
}

#[test]
fn the_sessions_of_a_removed_user_end() {
    let mut case = Case::with_people();
    for (name, number) in [("ben", 1), ("anna", 2), ("ben", 3)] {
        case.does(session(name, number, 60));
    }
    let events = case.tries(remove("ben")).unwrap();
    assert_eq!(events[..2], [ended(1, SessionEnd::UserRemoved), ended(3, SessionEnd::UserRemoved)]);
    assert_eq!((events.len(), sessions(&case)), (3, vec![credential(2)]));
}

#[test]
fn a_new_session_clears_those_that_have_expired() {
    let mut case = Case::with_people();
    for (name, number, seconds) in [("anna", 1, 60), ("ben", 2, 61), ("ben", 3, 30)] {
        case.does(session(name, number, seconds));
    }
    case.passes(60);
    let events = case.tries(session("anna", 4, 120)).unwrap();
    assert_eq!(events[..2], [ended(1, SessionEnd::Expired), ended(3, SessionEnd::Expired)]);
    assert_eq!((events.len(), sessions(&case)), (3, vec![credential(2), credential(4)]));
    let started = &case.desk.sessions[&credential(4)];
    assert_eq!((started.started_at, started.expires_at), (case.now, START + Span::seconds(120)));
}

#[test]
fn a_session_ends_once() {
    let mut case = Case::with_people();
    assert_eq!(case.refuses(end(1)), Refusal::SessionUnknown);
    case.does(session("anna", 1, 60));
    assert_eq!(case.tries(end(1)).unwrap(), [ended(1, SessionEnd::LoggedOut)]);
    assert_eq!(case.refuses(end(1)), Refusal::SessionUnknown);
}

#[test]
fn a_token_has_a_name_and_is_revoked_once() {
    let mut case = Case::new();
    for bad in ["", "a\u{7f}b", &"x".repeat(65)] {
        assert_eq!(case.refuses(token(bad, 1)), Refusal::TokenName, "{bad:?}");
    }
    assert_eq!(case.does(token(&"ä".repeat(64), 1)), ["token_created"]);
    assert_eq!(case.refuses(Command::RevokeToken { token: credential(2) }), Refusal::TokenUnknown);
    assert_eq!(case.does(Command::RevokeToken { token: credential(1) }), ["token_revoked"]);
    assert_eq!(case.refuses(Command::RevokeToken { token: credential(1) }), Refusal::TokenUnknown);
}

#[test]
fn a_thousand_users_are_enough() {
    let mut case = Case::new();
    case.does(invite("carl", 1, 60));
    for number in 0..1000 {
        case.does(add(&format!("user{number}"), Access::Admin));
    }
    for command in [add("anna", Access::Viewer), invite("anna", 2, 60), accept(1, "carl")] {
        assert_eq!(case.refuses(command), Refusal::Full(1000));
    }
    assert_eq!(case.refuses(add("user0", Access::Viewer)), Refusal::UserKnown(user("user0")));
    case.does(remove("user0"));
    case.does(accept(1, "carl"));
}

#[test]
fn a_thousand_invitations_are_enough_while_they_are_open() {
    let mut case = Case::new();
    for number in 0..1000 {
        case.does(invite(&format!("user{number}"), number, 60));
    }
    assert_eq!(case.refuses(invite("anna", 1000, 120)), Refusal::Full(1000));
    case.does(invite("user7", 1001, 60));
    assert_eq!(case.desk.invites.len(), 1000);
    case.passes(60);
    case.does(invite("anna", 1000, 120));
    assert_eq!(case.desk.invites.len(), 1);
}

#[test]
fn ten_thousand_sessions_are_enough_while_they_last() {
    let mut case = Case::with_people();
    let (name, expires_at) = (user("anna"), START + Span::seconds(60));
    for number in 0..10_000 {
        let (session, name, peer) = (credential(number), name.clone(), String::new());
        case.remembers(&Event::SessionStarted(SessionStarted { session, name, expires_at, peer }));
    }
    assert_eq!(case.refuses(session("anna", 10_000, 120)), Refusal::Full(10_000));
    case.passes(60);
    assert_eq!(case.tries(session("anna", 10_000, 120)).unwrap().len(), 10_001);
    assert_eq!(sessions(&case), [credential(10_000)]);
}

#[test]
fn a_thousand_tokens_are_enough() {
    let mut case = Case::new();
    (0..1000).for_each(|number| drop(case.does(token("t", number))));
    assert_eq!(case.refuses(token("", 1000)), Refusal::TokenName);
    assert_eq!(case.refuses(token("t", 1000)), Refusal::Full(1000));
    case.does(Command::RevokeToken { token: credential(5) });
    case.does(token("t", 1000));
}

#[test]
fn what_the_desk_notices_is_recorded_as_it_is() {
    let notices = [
        (Command::NoteDenied(AccessDenied { action: "stop".into(), needs: Access::Admin }), "access_denied"),
        (
            Command::NoteStranger(StrangerRefused { peer: "p".into(), count: 1, why: "no key".into() }),
            "stranger_refused",
        ),
        (Command::NoteClockStep(ClockStepped { by: Span::seconds(-9) }), "clock_stepped"),
        (Command::NoteStart(ServerStarted { node: "n".into(), build: "b".into(), desk_time: START }), "server_started"),
        (Command::NoteCut(TelemetryCut { through: Position(8), base_hash: Hash::ZERO, events: 2 }), "telemetry_cut"),
    ];
    let mut case = Case::new();
    for ((command, name), listening) in notices.into_iter().zip([0, 0, 3, 4, 4]) {
        case.passes(1);
        assert_eq!(case.does(command), [name]);
        assert_eq!(case.desk.listening_since, START + Span::seconds(listening), "{name}");
    }
    assert_eq!(case.desk.cut_through, Position(8));
}

#[test]
fn every_refusal_says_its_code_its_kind_and_its_field() {
    use Status::*;
    let invalid = Refusal::SettingInvalid { field: "session_hours", why: "why".into() };
    for (refusal, code, status, field) in [
        (Refusal::OpenAlready, "open_already", Conflict, None),
        (invalid, "setting_invalid", Invalid, Some("session_hours")),
        (Refusal::LockedAlready(reason("news")), "locked_already", Conflict, None),
        (Refusal::NotLocked, "not_locked", Conflict, None),
        (Refusal::UserKnown(user("anna")), "user_known", Conflict, Some("name")),
        (Refusal::UserUnknown(user("anna")), "user_unknown", NotFound, None),
        (Refusal::LastAdmin(user("anna")), "last_admin", Conflict, None),
        (Refusal::InviteUnknown, "invite_unknown", NotFound, Some("code")),
        (Refusal::SessionUnknown, "session_unknown", NotFound, None),
        (Refusal::TokenUnknown, "token_unknown", NotFound, None),
        (Refusal::TokenName, "token_name_invalid", Invalid, Some("name")),
        (Refusal::Full(7), "full", Conflict, None),
    ] {
        let denial = refusal.denial();
        assert_eq!((denial.code.as_str(), denial.status, denial.field.as_deref()), (code, status, field));
        assert_eq!(denial.detail, refusal.to_string());
    }
}

#[test]
fn an_unbelievable_record_stops_the_fold() {
    let (opened, mut locked) = (Case::with_people(), Case::new());
    locked.does(Command::Lock { reason: reason("news") });
    let (carl, access) = (user("carl"), Access::Viewer);
    for (case, event) in [
        (&opened, Event::Opened(Opened { desk: desk_id(), build: "0.1.0".into() })),
        (&locked, Event::Locked(Locked { reason: reason("again") })),
        (&opened, Event::Unlocked(Unlocked { reason: reason("over") })),
        (&opened, Event::UserAdded(UserAdded { name: user("anna"), access, credential: credential(1) })),
        (&opened, Event::RoleChanged(RoleChanged { name: carl.clone(), access })),
        (&opened, Event::PasswordChanged(PasswordChanged { name: carl, credential: credential(1) })),
        (&opened, ended(1, SessionEnd::Revoked)),
        (&opened, Event::TokenRevoked(TokenRevoked { token: credential(1) })),
    ] {
        let mut case: Case = case.clone();
        let folded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.remembers(&event)));
        assert!(folded.is_err(), "{event:?} was believed");
    }
}

/// Whatever is decided can be remembered, and what must hold of people and sessions holds after it.
mod any_order {
    use super::*;
    use proptest::prelude::*;

    fn any_command() -> impl Strategy<Value = (i64, Command)> {
        let name = || prop::sample::select(vec!["anna", "ben", "carl"]);
        let access = || prop::sample::select(vec![Access::Viewer, Access::Operator, Access::Admin]);
        let number = || 0u64..6;
        let password = |(name, number, keep): (&str, u64, Option<u64>)| Command::ChangePassword {
            name: user(name),
            credential: credential(number),
            keep: keep.map(credential),
        };
        let command = prop_oneof![
            (name(), access()).prop_map(|(name, access)| add(name, access)),
            name().prop_map(remove),
            (name(), access()).prop_map(|(name, access)| role(name, access)),
            (name(), number(), 0i64..100).prop_map(|(name, number, seconds)| invite(name, number, seconds)),
            (number(), name()).prop_map(|(number, name)| accept(number, name)),
            (name(), number(), 0i64..100).prop_map(|(name, number, seconds)| session(name, number, seconds)),
            number().prop_map(end),
            (name(), number(), prop::option::of(number())).prop_map(password),
        ];
        (0i64..20, command)
    }

    proptest! {
        #[test]
        fn people_and_sessions_stay_consistent(commands in prop::collection::vec(any_command(), 1..60)) {
            let mut case = Case::with_people();
            for (seconds, command) in commands {
                case.passes(seconds);
                let _ = case.tries(command);
                let desk = &case.desk;
                prop_assert!(desk.admins() >= 1, "nobody is left to let anybody in");
                prop_assert!(desk.sessions.values().all(|session| desk.users.contains_key(&session.name)));
                prop_assert!(desk.invites.values().all(|invite| !desk.users.contains_key(&invite.name)));
            }
        }
    }
}

fn open(number: u64, account: Option<&str>, role: Option<Role>) -> Command {
    let expires_at = START + Span::seconds(600);
    Command::OpenPairing(PairingOpened {
        pairing: credential(number),
        account: account.map(account_id),
        role,
        expires_at,
    })
}
fn fail(number: u64) -> Command {
    let (account, peer) = (account_id("A_1"), "192.0.2.1".into());
    Command::FailPairing(PairingFailed { pairing: credential(number), account, role: Role::Slave, peer })
}
fn pair(number: u64, account: &str, role: Role, key: u64) -> Command {
    let (account, peer) = (account_id(account), "192.0.2.1".into());
    let used = PairingUsed { pairing: credential(number), account, role, peer };
    Command::UsePairing { used, key: credential(key) }
}
fn revoke_key(number: u64) -> Command {
    Command::RevokeKey { key: credential(number) }
}
fn keys(case: &Case) -> Vec<(CredentialId, String, Role)> {
    let keys = case.desk.terminal_keys.iter();
    keys.map(|(id, key)| (*id, key.account.to_string(), key.role)).collect()
}

#[test]
fn a_code_gives_a_key_once() {
    let mut case = Case::new();
    assert_eq!(case.does(open(1, Some("A_1"), Some(Role::Slave))), ["pairing_opened"]);
    assert_eq!(case.does(pair(1, "A_1", Role::Slave, 2)), ["pairing_used", "terminal_key_issued"]);
    assert_eq!(case.refuses(pair(1, "A_1", Role::Slave, 3)), Refusal::PairingUnknown);
    assert_eq!(case.refuses(fail(1)), Refusal::PairingUnknown);
    assert_eq!(keys(&case), [(credential(2), "A_1".into(), Role::Slave)]);
}

#[test]
fn a_code_is_good_until_it_expires() {
    let mut case = Case::new();
    case.does(open(1, None, None));
    case.passes(600);
    assert_eq!(case.refuses(pair(1, "A_1", Role::Slave, 2)), Refusal::PairingUnknown);
    assert_eq!(case.does(fail(1)), ["pairing_ended"]);
    assert_eq!(case.desk.pairings.len(), 0);
}

#[test]
fn the_fifth_wrong_try_is_the_last() {
    let mut case = Case::new();
    case.does(open(1, None, None));
    for _ in 1..TRIES_MAX {
        assert_eq!(case.does(fail(1)), ["pairing_failed"]);
    }
    assert!(case.clone().tries(pair(1, "A_1", Role::Slave, 2)).is_ok(), "four wrong ones do not end it");
    assert_eq!(case.does(fail(1)), ["pairing_failed", "pairing_ended"]);
    assert_eq!(case.refuses(pair(1, "A_1", Role::Slave, 2)), Refusal::PairingUnknown);
}

#[test]
fn a_code_is_for_whom_it_was_made() {
    let (slave, master) = (Role::Slave, Role::Master);
    for (account, role, good, bad) in [
        (Some("A_1"), Some(slave), vec![("A_1", slave)], vec![("A_1", master), ("A_12", slave)]),
        (Some("A_1"), None, vec![("A_1", slave), ("A_1", master)], vec![("A_12", slave)]),
        (None, Some(master), vec![("A_1", master), ("A_12", master)], vec![("A_1", slave)]),
        (None, None, vec![("A_1", slave), ("A_12", master)], vec![]),
    ] {
        let mut case = Case::new();
        case.does(open(1, account, role));
        for (id, as_role) in bad {
            assert_eq!(case.refuses(pair(1, id, as_role, 2)), Refusal::PairingElsewhere, "{account:?} {role:?} {id}");
        }
        for (id, as_role) in good {
            case.clone().does(pair(1, id, as_role, 2));
        }
    }
}

#[test]
fn a_key_is_replaced_only_by_a_code_that_names_its_account() {
    let mut case = Case::new();
    case.does(open(1, None, None));
    case.does(pair(1, "A_1", Role::Slave, 11));
    case.does(open(2, None, Some(Role::Slave)));
    assert_eq!(case.refuses(pair(2, "A_1", Role::Slave, 12)), Refusal::PairingUnnamed(account_id("A_1")));
    case.does(pair(2, "A_1x", Role::Slave, 13));
    case.does(open(3, Some("A_1"), None));
    let replaced = ["pairing_used", "terminal_key_revoked", "terminal_key_issued"];
    assert_eq!(case.does(pair(3, "A_1", Role::Slave, 14)), replaced);
    let expected = [(credential(13), "A_1x".to_string(), Role::Slave), (credential(14), "A_1".into(), Role::Slave)];
    assert_eq!(keys(&case), expected);
}

#[test]
fn an_account_that_had_a_key_stays_keyed_in_that_role() {
    let mut case = Case::new();
    let keyed = |case: &Case| {
        [("A_1", Role::Slave), ("A_1", Role::Master), ("A_12", Role::Slave)]
            .map(|(id, role)| case.desk.is_keyed(&account_id(id), role))
    };
    assert_eq!(keyed(&case), [false; 3]);
    case.does(open(1, None, None));
    case.does(pair(1, "A_1", Role::Slave, 2));
    assert_eq!(keyed(&case), [true, false, false]);
    assert_eq!(case.does(revoke_key(2)), ["terminal_key_revoked"]);
    assert_eq!(case.refuses(revoke_key(2)), Refusal::KeyUnknown);
    assert_eq!((keys(&case), keyed(&case)), (vec![], [true, false, false]));
    case.does(open(3, None, None));
    assert_eq!(case.refuses(pair(3, "A_1", Role::Slave, 4)), Refusal::PairingUnnamed(account_id("A_1")));
}

#[test]
fn codes_end_when_cancelled_replaced_or_run_out() {
    let mut case = Case::new();
    let cancel = |number| Command::CancelPairing { pairing: credential(number) };
    case.does(open(1, None, None));
    assert_eq!(case.does(cancel(1)), ["pairing_ended"]);
    assert_eq!(case.refuses(cancel(1)), Refusal::PairingUnknown);
    case.does(open(2, Some("A_1"), None));
    case.does(open(3, Some("A_1"), Some(Role::Slave)));
    case.does(open(4, None, None));
    case.does(open(5, None, None));
    assert_eq!(case.desk.pairings.len(), 4, "another role, and codes for anybody, do not replace each other");
    assert_eq!(case.does(open(6, Some("A_1"), Some(Role::Slave))), ["pairing_ended", "pairing_opened"]);
    case.passes(600);
    let Command::OpenPairing(opened) = open(7, None, None) else { unreachable!() };
    let later = PairingOpened { expires_at: case.now + Span::seconds(1), ..opened };
    assert_eq!(case.does(Command::OpenPairing(later)).len(), 5, "four that ran out end, one is opened");
    assert_eq!(case.desk.pairings.keys().copied().collect::<Vec<_>>(), [credential(7)]);
}

#[test]
fn a_hundred_codes_at_a_time_are_enough() {
    let mut case = Case::new();
    for number in 0..100 {
        case.does(open(number, None, None));
    }
    assert_eq!(case.refuses(open(100, None, None)), Refusal::Full(100));
}
