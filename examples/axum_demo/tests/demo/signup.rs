//! Sign-up and its rejections.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::{JSON, post_request, signup_request};
use crate::scenarios;
use crate::support::{Demo, ScratchFile, TestClock, proxied_settings, settings};

const STRONG: &str = "purple lattice umbrella";

#[tokio::test]
async fn signs_the_new_user_in() {
    let demo = Demo::start().await;
    let answer = demo.signup(" Ada@Example.Com ", STRONG).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut body = answer.json();
    assert!(body["access_token"].take().is_string());
    assert_eq!(body, json!({ "access_token": null, "token_type": "Bearer", "expires_in": 900 }));
    let profile = demo.protected(&[&answer.bearer()]).await;
    assert_eq!(profile.body, r#"{"email":"ada@example.com","first_name":"Ada","last_name":"Lovelace"}"#);
    assert_eq!(demo.refresh(&answer.cookie()).await.status, 200);

    assert_eq!(demo.signin("ADA@example.com", STRONG).await.status, 200);
    assert_eq!(demo.signin("ada@example.com", "purple lattice umbrellas").await.status, 401);
    let again = demo.signup("ada@EXAMPLE.com", STRONG).await;
    assert_eq!((again.status, again.error().as_str()), (409, "email_taken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_sign_up_gets_an_email() {
    let file = ScratchFile::new("sign_up.sqlite3");
    scenarios::parallel_sign_up(proxied_settings(&file.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_one_network_sign_up_together() {
    let mut settings = settings("sqlite::memory:");
    // The default is too short for a slow machine.
    settings.limits.in_line = Duration::from_secs(60);
    let demo = Demo::start_with(settings).await;
    let email = |number| format!("ada{number}@example.com");
    let sign_ups: Vec<_> =
        (0..8).map(|number| signup_request(&email(number), STRONG, "Ada", "Lovelace")).collect();
    assert_eq!(scenarios::statuses(&scenarios::at_once(&demo, &sign_ups).await), [201; 8]);
}

#[tokio::test]
async fn rejects_invalid_input() {
    let mut settings = settings("sqlite::memory:");
    settings.limits.address_failures = 1000;
    let demo = Demo::start_with(settings).await;
    let long_email = format!("{}@example.com", "e".repeat(243));
    let long_name = "n".repeat(101);
    let control = "Ada\u{7}";
    let email = (422, "email_unfit");
    let (first_name_unfit, last_name_unfit) = ((422, "first_name_unfit"), (422, "last_name_unfit"));
    let weak = (422, "password_weak");
    for (address, password, first_name, last_name, expected) in [
        ("", STRONG, "Ada", "Lovelace", email),
        ("ada", STRONG, "Ada", "Lovelace", email),
        ("@example.com", STRONG, "Ada", "Lovelace", email),
        ("ada@example", STRONG, "Ada", "Lovelace", email),
        ("ada@example..com", STRONG, "Ada", "Lovelace", email),
        ("ada@b@example.com", STRONG, "Ada", "Lovelace", email),
        ("ada lovelace@example.com", STRONG, "Ada", "Lovelace", email),
        ("a\u{200d}da@example.com", STRONG, "Ada", "Lovelace", email),
        ("ad\u{e4}@example.com", STRONG, "Ada", "Lovelace", email),
        ("ada\u{308}@example.com", STRONG, "Ada", "Lovelace", email),
        ("\u{ff41}da@example.com", STRONG, "Ada", "Lovelace", email),
        ("\u{212a}ada@example.com", STRONG, "Ada", "Lovelace", email),
        ("ada@ex\u{e4}mple.com", STRONG, "Ada", "Lovelace", email),
        ("a\u{7f}da@example.com", STRONG, "Ada", "Lovelace", email),
        ("\"ada\"@example.com", STRONG, "Ada", "Lovelace", email),
        ("a\\da@example.com", STRONG, "Ada", "Lovelace", email),
        ("ada(work)@example.com", STRONG, "Ada", "Lovelace", email),
        ("<ada@example.com>", STRONG, "Ada", "Lovelace", email),
        ("[ada]@example.com", STRONG, "Ada", "Lovelace", email),
        ("bob@example.com,ada@example.com", STRONG, "Ada", "Lovelace", email),
        ("bob;ada@example.com", STRONG, "Ada", "Lovelace", email),
        ("mailto:ada@example.com", STRONG, "Ada", "Lovelace", email),
        ("ada@example.com\n", STRONG, "Ada", control, last_name_unfit),
        (&long_email, STRONG, "Ada", "Lovelace", email),
        ("ada@example.com", STRONG, "", "Lovelace", first_name_unfit),
        ("ada@example.com", STRONG, "Ada", " ", last_name_unfit),
        ("ada@example.com", STRONG, &long_name, "Lovelace", first_name_unfit),
        ("ada@example.com", "", "Ada", "Lovelace", weak),
        ("ada@example.com", "€9%kT2#mQ", "Ada", "Lovelace", weak),
        ("ada@example.com", "password123", "Ada", "Lovelace", weak),
        ("ada@example.com", "aaaaaaaaaaaaaaaa", "Ada", "Lovelace", weak),
        ("ada@example.com", "ada@example.com", "Ada", "Lovelace", weak),
        ("ada@example.com", "lovelaceada1", "Ada", "Lovelace", weak),
        ("ada@example.com", &"purple lattice umbrella ".repeat(4), "Ada", "L", (422, "password_too_long")),
        ("ada@example.com", "purple\0lattice umbrella", "Ada", "Lovelace", (422, "password_has_nul")),
    ] {
        let answer = demo.exchange(&signup_request(address, password, first_name, last_name)).await;
        let found = (answer.status, answer.error());
        assert_eq!(
            (found.0, found.1.as_str()),
            expected,
            "{address:?} {password:?} {first_name:?} {last_name:?}"
        );
    }
    let answer = demo.signup("\u{e4}da@example.com", STRONG).await;
    let expected = "the email must be an ASCII address, such as name@example.com";
    assert_eq!(answer.json()["title"], expected);
    for address in ["o'neil+news@example.com", "ada.b_c-1@xn--exmple-cua.com"] {
        assert_eq!(demo.signup(address, STRONG).await.status, 201, "{address}");
    }
    let answer = demo.exchange(&post_request("/signup", JSON, br#"{"email":"a@b.c","password":"p"}"#)).await;
    assert_eq!((answer.status, answer.error().as_str()), (422, "json_unfit"));
    assert_eq!(demo.signup("ada@example.com", STRONG).await.status, 201, "the email is still free");
}

#[tokio::test]
async fn explains_why_a_password_is_weak() {
    let demo = Demo::start().await;
    for (password, expected) in [
        ("short", "a password must have at least 10 characters"),
        ("1234567890", "the password is easy to guess: this is a top-100 common password"),
        ("aaaaaaaaaaaa", "the password is easy to guess: repeats like \"aaa\" are easy to guess"),
        ("lovelace-ada", "the password is easy to guess: "),
    ] {
        let answer = demo.signup("ada@example.com", password).await;
        let message = answer.problem()["title"].as_str().unwrap().to_owned();
        assert!(message.starts_with(expected), "{password}: {message}");
        assert!(!message.ends_with('.'), "{message}");
    }
}

/// Crafted passwords could take the rating seconds or overflow its counts.
#[tokio::test]
async fn rates_crafted_passwords_quickly() {
    let demo = Demo::start().await;
    let mut emails = (0..).map(|number| format!("a{number}@example.com"));
    let mut sign_up = async |password: &str| {
        let email = emails.next().unwrap();
        let start = Instant::now();
        let answer = demo.signup(&email, password).await;
        (answer, start.elapsed())
    };
    let (answer, usual) = sign_up(STRONG).await;
    assert_eq!(answer.status, 201);
    for (name, password) in [
        ("substitutions", "4@8({[<369&#!1|0$5+7%2/".chars().cycle().take(72).collect()),
        ("dollars and fives", "$5".repeat(36)),
        ("the same of 30 characters", "$5".repeat(15)),
        ("one letter", "a".repeat(72)),
        ("a keyboard", "qwertyuiopasdfghjklzxcvbnm".repeat(2)),
        ("dates", "1.1.1".repeat(14)),
    ] {
        let mut soonest = Duration::MAX;
        // A busy machine may stall in one of them.
        for _ in 0..3 {
            let (answer, taken) = sign_up(&password).await;
            assert!([201, 422].contains(&answer.status), "{name}: {answer:?}");
            soonest = soonest.min(taken);
            if soonest < 8 * usual {
                break;
            }
        }
        assert!(soonest < 8 * usual, "{name}: {soonest:?}, usually {usual:?}");
    }
}

/// Sign-ups have a separate count, because those of one network are no failures.
#[tokio::test]
async fn sign_ups_are_counted_by_address() {
    let mut settings = settings("sqlite::memory:");
    let clock = TestClock::set_into(&mut settings);
    settings.limits.address_sign_ups = 2;
    settings.limits.address_failures = 2;
    let demo = Demo::start_with(settings).await;
    for (email, status) in [("a@example.com", 201), ("b@example.com", 201), ("c@example.com", 429)] {
        let answer = demo.signup(email, STRONG).await;
        assert_eq!(answer.status, status, "{email}");
        if status == 429 {
            assert_eq!(answer.error(), "too_many_sign_ups");
            assert_eq!(answer.json()["title"], "too many accounts were created from your network");
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((60..=3600).contains(&wait), "until the next hour: {wait}");
        }
    }
    assert_eq!(demo.signin("eze@example.com", "wrong").await.status, 401);
    clock.forward(3600);
    assert_eq!(demo.signup("c@example.com", STRONG).await.status, 201);
}

/// Otherwise a client could test any number of emails for accounts.
#[tokio::test]
async fn failed_sign_ups_count_as_failures() {
    let mut settings = settings("sqlite::memory:");
    let _clock = TestClock::set_into(&mut settings);
    settings.limits.address_failures = 2;
    let demo = Demo::start_with(settings).await;
    for status in [409, 409, 429] {
        assert_eq!(demo.signup("eze@example.com", STRONG).await.status, status);
    }
    assert_eq!(demo.signin("eze@example.com", "okon").await.status, 429);
}
