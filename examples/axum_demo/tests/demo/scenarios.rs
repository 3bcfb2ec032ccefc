//! What goes the same way on every database.

use axum_demo::Settings;

use crate::http::{answer, request_with};
use crate::support::{Demo, TestClock};

const DAY: u64 = 24 * 60 * 60;

/// A refresh token gives the next one; the second use of one ends the session.
pub(crate) async fn refresh(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let (first, others) = (demo.sign_in().await, demo.sign_in().await);
    let second = demo.refresh(&first.cookie()).await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_ne!(second.cookie(), first.cookie());
    for answer in [&first, &second] {
        assert_eq!(demo.protected(&[&answer.bearer()]).await.status, 200);
    }

    let again = demo.refresh(&first.cookie()).await;
    assert_eq!((again.status, again.error().as_str()), (401, "refresh_invalid"));
    assert_eq!(again.cookie(), "refresh=");
    assert_eq!(demo.refresh(&second.cookie()).await.status, 401);
    for answer in [first, second] {
        assert_eq!(demo.protected(&[&answer.bearer()]).await.status, 401);
    }
    assert_eq!(demo.protected(&[&others.bearer()]).await.status, 200);
    assert_eq!(demo.refresh(&others.cookie()).await.status, 200);
}

/// Of many requests at once with one token one is let through, and then the session ends.
pub(crate) async fn parallel_refresh(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let signed_in = demo.sign_in().await;
    let request = request_with("POST", "/refresh", &[("Cookie", &signed_in.cookie())]);
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(demo.send(&request).await);
    }
    let mut answers = Vec::new();
    for stream in streams {
        answers.push(answer(stream).await);
    }
    let (good, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(good.len(), 1);
    assert!(refused.iter().all(|answer| answer.status == 401), "{refused:?}");
    assert_eq!(demo.refresh(&good[0].cookie()).await.status, 401);
    assert_eq!(demo.protected(&[&good[0].bearer()]).await.status, 401);
}

pub(crate) async fn sign_out_everywhere(settings: Settings) {
    let demo = Demo::start_with(settings).await;
    let (mine, others) = (demo.sign_in().await, demo.sign_in().await);
    let answer = demo.sign_out("/signout/everywhere", &mine.bearer()).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.cookie(), "refresh=");
    let next = demo.sign_in().await;
    for ended in [mine, others] {
        assert_eq!(demo.protected(&[&ended.bearer()]).await.status, 401);
        assert_eq!(demo.refresh(&ended.cookie()).await.status, 401);
    }
    assert_eq!(demo.protected(&[&next.bearer()]).await.status, 200, "signed in within the same second");
    assert_eq!(demo.refresh(&next.cookie()).await.status, 200);
}

pub(crate) async fn restart(settings: impl Fn() -> Settings) {
    let demo = Demo::start_with(settings()).await;
    let (ended, used_twice, alive) = (demo.sign_in().await, demo.sign_in().await, demo.sign_in().await);
    assert_eq!(demo.sign_out("/signout", &ended.bearer()).await.status, 204);
    assert_eq!(demo.refresh(&used_twice.cookie()).await.status, 200);
    assert_eq!(demo.refresh(&used_twice.cookie()).await.status, 401);
    demo.stop().await.unwrap();

    let demo = Demo::start_with(settings()).await;
    for over in [ended, used_twice] {
        assert_eq!(demo.protected(&[&over.bearer()]).await.status, 401);
        assert_eq!(demo.refresh(&over.cookie()).await.status, 401);
    }
    assert_eq!(demo.protected(&[&alive.bearer()]).await.status, 200);
    assert_eq!(demo.refresh(&alive.cookie()).await.status, 200);
}

/// The oldest of them ends.
pub(crate) async fn too_many_sessions(mut settings: Settings) {
    settings.limits.sessions = 2;
    let clock = TestClock::set_into(&mut settings);
    // Whatever sessions of another scenario there may be.
    clock.forward(60);
    let demo = Demo::start_with(settings).await;
    let first = demo.sign_in().await;
    clock.forward(1);
    let second = demo.sign_in().await;
    clock.forward(1);
    let third = demo.sign_in().await;
    assert_eq!(demo.protected(&[&first.bearer()]).await.status, 401);
    assert_eq!(demo.refresh(&first.cookie()).await.status, 401);
    for answer in [second, third] {
        assert_eq!(demo.protected(&[&answer.bearer()]).await.status, 200);
        assert_eq!(demo.refresh(&answer.cookie()).await.status, 200);
    }
}

/// A session that is used lives for 30 days, another for seven.
pub(crate) async fn expiry(mut settings: Settings) {
    let clock = TestClock::set_into(&mut settings);
    let demo = Demo::start_with(settings).await;
    let (used, idle) = (demo.sign_in().await, demo.sign_in().await);
    clock.forward(15 * 60 + 60);
    assert_eq!(demo.protected(&[&used.bearer()]).await.status, 401, "an access token lives 15 minutes");

    let mut cookie = used.cookie();
    for _ in 0..4 {
        clock.forward(6 * DAY);
        let answer = demo.refresh(&cookie).await;
        assert_eq!(answer.status, 200);
        cookie = answer.cookie();
    }
    assert_eq!(demo.refresh(&idle.cookie()).await.status, 401);
    clock.forward(5 * DAY);
    let answer = demo.refresh(&cookie).await;
    assert_eq!(answer.status, 200);
    let max_age = answer.header("set-cookie").unwrap().split("Max-Age=").nth(1).unwrap();
    assert!(max_age.parse::<u64>().unwrap() < DAY, "{max_age}");
    clock.forward(DAY);
    assert_eq!(demo.refresh(&answer.cookie()).await.status, 401);
}
