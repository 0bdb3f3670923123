use booty_bus::Published;
use booty_events::{
    EffectId, Lane, Message as _, Service, header, stream,
    v1::{Comment, Effect, Event, effect::Write},
};
use booty_service::Outbox;

fn effect() -> Effect {
    Effect {
        id: EffectId::new("7-d", "outcome").to_string(),
        write: Some(Write::Comment(Comment { issue: 7, body: "hello".into() })),
        ..Effect::default()
    }
}

#[tokio::test]
async fn a_fact_is_said_once_however_often_it_is_said() {
    let (_server, bus) = crate::broker().await;
    let outbox = Outbox::new(bus.clone(), Service::Builder);
    let say = || outbox.event("job_enqueued", "7-d", Event { issue: 7, ..Event::default() });
    assert!(matches!(say().await.unwrap(), Published::New { .. }));
    assert!(matches!(say().await.unwrap(), Published::Duplicate));

    let subject = "booty.event.builder.job_enqueued.7-d";
    let stored = bus.last_message(stream::EVENTS.name, subject).await.unwrap().unwrap();
    let event = Event::decode(stored.payload.clone()).unwrap();
    assert_eq!((event.service.as_str(), event.name.as_str()), ("builder", "job_enqueued"));
    assert!(event.time.is_some());
    assert_eq!(stored.headers.get(header::CONTENT_TYPE), Some("application/protobuf"));
    assert_eq!(stored.headers.get(header::MESSAGE_NAME), Some("booty.v1.Event"));
    assert_eq!(stored.headers.get(header::SCHEMA_VERSION), Some("1"));
}

#[tokio::test]
async fn a_later_holder_asks_again_because_forge_refuses_the_earlier_asking() {
    let (_server, bus) = crate::broker().await;
    let outbox = Outbox::new(bus.clone(), Service::Builder);
    let effect = effect();
    let ask = |token| {
        let (outbox, effect) = (outbox.clone(), effect.clone());
        async move { outbox.effect(Lane::Outcome, &effect, Some(("builder.x", token))).await }
    };
    let subject = format!("booty.effect.outcome.comment.{}", effect.id);
    let again = |token: u64| format!("{subject}.l{token}");
    let stored = |subject: String| {
        let bus = bus.clone();
        async move { bus.last_message(stream::EFFECTS.name, &subject).await.unwrap() }
    };

    assert!(matches!(ask(5).await.unwrap(), Published::New { .. }));
    // The same holder after a lost answer: nothing new.
    assert!(matches!(ask(5).await.unwrap(), Published::Duplicate));
    assert!(stored(again(5)).await.is_none());
    // A later holder.
    assert!(matches!(ask(9).await.unwrap(), Published::New { .. }));
    let copy = stored(again(9)).await.unwrap();
    assert_eq!(copy.headers.get(header::LEASE_TOKEN), Some("9"));
    assert_eq!(Effect::decode(copy.payload).unwrap(), effect);
    assert!(matches!(ask(9).await.unwrap(), Published::Duplicate));
    // An earlier holder that wakes up adds nothing.
    assert!(matches!(ask(3).await.unwrap(), Published::Duplicate));
    assert!(stored(again(3)).await.is_none());
}

#[tokio::test]
async fn an_effect_without_an_id_of_the_right_form_is_refused() {
    let (_server, bus) = crate::broker().await;
    let outbox = Outbox::new(bus, Service::Builder);
    let effect = Effect { id: "booty.>".into(), ..effect() };
    assert!(outbox.effect(Lane::Outcome, &effect, None).await.is_err());
}
