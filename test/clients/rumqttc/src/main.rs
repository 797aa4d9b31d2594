// Cases for rumqttc against a broker: rumqttc-cases CASE VERSION PORT, exit code 0 if it holds.
// VERSION is 3.1.1 or 5.0; the test file names the cases too.
mod modern;
mod peer;

use peer::{Fallible, Options, Peer, Version};

fn unique() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock")
        .as_nanos();
    format!("rumqttc/{}/{now:x}", std::process::id())
}

fn client_id(name: &str) -> String {
    format!("{name}-{}", unique().replace('/', "-"))
}

fn check(holds: bool, claim: impl std::fmt::Display) -> Fallible<()> {
    if holds {
        Ok(())
    } else {
        Err(claim.to_string())
    }
}

struct Case {
    port: u16,
    version: Version,
}

impl Case {
    async fn open(&self, name: &str) -> Fallible<Peer> {
        self.open_with(Options::new(&client_id(name))).await
    }

    async fn open_with(&self, options: Options) -> Fallible<Peer> {
        Peer::open(self.port, self.version, options).await
    }

    // A clean session under the same Client Identifier ends the persistent one.
    async fn forget(&self, options: &Options) -> Fallible<()> {
        let clean = Options { clean: true, will: None, ..options.clone() };
        self.open_with(clean).await?.close().await
    }

    async fn all_qos(&self) -> Fallible<()> {
        for qos in 0..=2 {
            let topic = unique();
            let (mut subscriber, mut publisher) =
                (self.open("sub").await?, self.open("pub").await?);
            subscriber.subscribe(&format!("{topic}/#"), qos).await?;
            let sent: Vec<String> = (0..500).map(|i| format!("message {i}")).collect();
            for text in &sent {
                publisher.send(&format!("{topic}/a"), text.as_str(), qos, false).await?;
            }
            publisher.acknowledged().await?;
            check(subscriber.texts(500).await? == sent, format!("QoS {qos}: order"))?;
            check(subscriber.surplus(100).await.is_empty(), format!("QoS {qos}: doubled"))?;
            publisher.close().await?;
            subscriber.close().await?;
        }
        Ok(())
    }

    async fn retained(&self) -> Fallible<()> {
        let topic = unique();
        let mut first = self.open("a").await?;
        first.publish(&topic, "kept", 1, true).await?;
        let mut second = self.open("b").await?;
        second.subscribe(&topic, 1).await?;
        let message = second.next().await?;
        check(
            message.retain && message.payload == b"kept" && message.qos == 1,
            format!("{message:?}"),
        )?;
        first.publish(&topic, "", 1, true).await?;
        let message = second.next().await?;
        check(!message.retain && message.payload.is_empty(), format!("{message:?}"))?;
        let mut third = self.open("c").await?;
        third.subscribe(&topic, 1).await?;
        check(third.surplus(150).await.is_empty(), "cleared, yet delivered")?;
        first.close().await?;
        second.close().await?;
        third.close().await
    }

    async fn will(&self) -> Fallible<()> {
        let topic = unique();
        let mut watcher = self.open("watcher").await?;
        watcher.subscribe(&topic, 1).await?;
        let options =
            Options { will: Some((topic, "gone".into(), 0)), ..Options::new(&client_id("will")) };
        self.open_with(options.clone()).await?.close().await?;
        check(watcher.surplus(150).await.is_empty(), "a will after DISCONNECT")?;
        self.open_with(options).await?.cut().await;
        check(watcher.texts(1).await? == ["gone"], "another will")?;
        check(watcher.surplus(100).await.is_empty(), "two wills")?;
        watcher.close().await
    }

    async fn persistent(&self) -> Fallible<()> {
        let topic = unique();
        let options = Options { clean: false, ..Options::new(&client_id("persistent")) };
        let mut first = self.open_with(options.clone()).await?;
        check(!first.session_present, "a session before the first")?;
        first.subscribe(&format!("{topic}/1"), 1).await?;
        first.subscribe(&format!("{topic}/2"), 2).await?;
        first.close().await?;
        let mut publisher = self.open("pub").await?;
        for i in 0..100u32 {
            let qos = 1 + (i % 2) as u8;
            publisher.publish(&format!("{topic}/{qos}"), i.to_string(), qos, false).await?;
        }
        let mut again = self.open_with(options.clone()).await?;
        check(again.session_present, "no Session Present")?;
        let received: Vec<u32> =
            again.texts(100).await?.iter().map(|text| text.parse().expect("a number")).collect();
        for rest in 0..2 {
            let ordered: Vec<u32> = received.iter().copied().filter(|n| n % 2 == rest).collect();
            let expected: Vec<u32> = (0..100).filter(|n| n % 2 == rest).collect();
            check(ordered == expected, format!("QoS {}: {ordered:?}", rest + 1))?;
        }
        check(again.surplus(100).await.is_empty(), "doubled")?;
        again.close().await?;
        publisher.close().await?;
        self.forget(&options).await
    }

    // What was received and not acknowledged comes again on the next connection, marked or not, in order.
    async fn manual_acks(&self) -> Fallible<()> {
        let topic = unique();
        let options =
            Options { clean: false, manual_acks: true, ..Options::new(&client_id("manual")) };
        let mut first = self.open_with(options.clone()).await?;
        first.subscribe(&topic, 1).await?;
        let mut publisher = self.open("pub").await?;
        for i in 0..20 {
            publisher.publish(&topic, i.to_string(), 1, false).await?;
        }
        for expected in 0..20u32 {
            let message = first.next().await?;
            check(message.payload == expected.to_string().as_bytes(), format!("{message:?}"))?;
            if expected < 5 {
                first.acknowledge(&message).await?;
            }
        }
        // The acknowledgements go out before the connection breaks.
        check(first.surplus(300).await.is_empty(), "resent on a live connection")?;
        first.cut().await;
        let mut again = self.open_with(Options { manual_acks: false, ..options.clone() }).await?;
        let expected: Vec<String> = (5..20).map(|i| i.to_string()).collect();
        let received = again.texts(15).await?;
        check(received == expected, format!("{received:?}"))?;
        check(again.surplus(100).await.is_empty(), "doubled")?;
        again.close().await?;
        publisher.close().await?;
        self.forget(&options).await
    }

    async fn large(&self) -> Fallible<()> {
        let topic = unique();
        let (mut subscriber, mut publisher) = (self.open("sub").await?, self.open("pub").await?);
        subscriber.subscribe(&topic, 2).await?;
        for size in [0usize, 1, 127, 128, 16_383, 16_384, 1_000_000] {
            let payload: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            publisher.publish(&topic, payload.clone(), 2, false).await?;
            check(subscriber.next().await?.payload == payload, format!("{size} bytes"))?;
        }
        subscriber.close().await?;
        publisher.close().await
    }

    async fn wildcards(&self) -> Fallible<()> {
        let topic = unique();
        let mut client = self.open("wild").await?;
        client.subscribe(&format!("{topic}/+/x"), 1).await?;
        client.subscribe(&format!("{topic}/deep/#"), 0).await?;
        for level in ["a/x", "b/x", "deep", "deep/1/2/3", "a/y", "a/x/y"] {
            client.publish(&format!("{topic}/{level}"), level, 1, false).await?;
        }
        check(client.texts(4).await? == ["a/x", "b/x", "deep", "deep/1/2/3"], "other matches")?;
        client.unsubscribe(&format!("{topic}/+/x")).await?;
        client.publish(&format!("{topic}/a/x"), "late", 1, false).await?;
        check(client.surplus(150).await.is_empty(), "delivered after UNSUBACK")?;
        client.close().await
    }

    async fn shared(&self) -> Fallible<()> {
        let topic = unique();
        let (mut one, mut two) = (self.open("one").await?, self.open("two").await?);
        for member in [&mut one, &mut two] {
            member.subscribe(&format!("$share/group/{topic}/+"), 1).await?;
        }
        let mut publisher = self.open("pub").await?;
        for i in 0..60 {
            publisher.publish(&format!("{topic}/a"), i.to_string(), 1, false).await?;
        }
        let (first, second) = (one.surplus(300).await, two.surplus(300).await);
        check(
            first.len() > 10 && second.len() > 10,
            format!("{} and {}", first.len(), second.len()),
        )?;
        let mut all: Vec<u32> = first
            .iter()
            .chain(&second)
            .map(|m| String::from_utf8_lossy(&m.payload).parse().expect("a number"))
            .collect();
        all.sort_unstable();
        check(all == (0..60).collect::<Vec<u32>>(), format!("{all:?}"))?;
        one.close().await?;
        two.close().await?;
        publisher.close().await
    }

    async fn taken_over(&self) -> Fallible<()> {
        let options = Options::new(&client_id("twice"));
        let mut first = self.open_with(options.clone()).await?;
        let second = self.open_with(options).await?;
        let code = first.ended().await?;
        check(self.version == Version::Old || code == Some(0x8E), format!("{code:?}"))?;
        second.close().await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, version, port] = arguments.as_slice() else {
        eprintln!("usage: rumqttc-cases CASE 3.1.1|5.0 PORT");
        std::process::exit(2);
    };
    let version = if version == "5.0" { Version::Modern } else { Version::Old };
    let case = Case { port: port.parse().expect("a port"), version };
    let result = match name.as_str() {
        "all_qos" => case.all_qos().await,
        "retained" => case.retained().await,
        "will" => case.will().await,
        "persistent" => case.persistent().await,
        "manual_acks" => case.manual_acks().await,
        "large" => case.large().await,
        "wildcards" => case.wildcards().await,
        "shared" => case.shared().await,
        "taken_over" => case.taken_over().await,
        "properties" => case.properties().await,
        "topic_alias" => case.topic_alias().await,
        "will_delay" => case.will_delay().await,
        "assigned_id" => case.assigned_id().await,
        "receive_maximum" => case.receive_maximum().await,
        _ => Err(format!("no case {name}")),
    };
    if let Err(claim) = result {
        eprintln!("{name}: {claim}");
        std::process::exit(1);
    }
}
