// Cases that only MQTT 5.0 has.
use crate::peer::{Fallible, Options};
use crate::{check, client_id, unique, Case};
use std::time::{Duration, Instant};

impl Case {
    pub async fn properties(&self) -> Fallible<()> {
        use rumqttc::v5::mqttbytes::v5::PublishProperties;
        let topic = unique();
        let mut client = self.open("properties").await?;
        client.subscribe(&topic, 1).await?;
        let sent = PublishProperties {
            payload_format_indicator: Some(1),
            message_expiry_interval: Some(100),
            response_topic: Some("answer/here".into()),
            correlation_data: Some(bytes::Bytes::from_static(&[0, 1, 255])),
            user_properties: vec![
                ("name".into(), "first".into()),
                ("name".into(), "second".into()),
            ],
            content_type: Some("text/plain".into()),
            ..Default::default()
        };
        client.send_with(&topic, "text", sent.clone()).await?;
        client.acknowledged().await?;
        let mut got = client.next().await?.properties.ok_or("no properties")?;
        check(got.message_expiry_interval.is_some_and(|s| s > 90 && s <= 100), "expiry")?;
        got.message_expiry_interval = sent.message_expiry_interval;
        check(got == sent, format!("{got:?}"))?;
        client.close().await
    }

    pub async fn topic_alias(&self) -> Fallible<()> {
        use rumqttc::v5::mqttbytes::v5::PublishProperties;
        let topic = unique();
        let mut subscriber = self
            .open_with(Options {
                topic_alias_maximum: Some(10),
                ..Options::new(&client_id("alias"))
            })
            .await?;
        subscriber.subscribe(&format!("{topic}/#"), 1).await?;
        let mut publisher = self.open("pub").await?;
        for i in 0..20 {
            let alias = PublishProperties { topic_alias: Some(1 + i % 2), ..Default::default() };
            publisher.send_with(&format!("{topic}/{}", i % 2), &i.to_string(), alias).await?;
        }
        publisher.acknowledged().await?;
        let received = subscriber.texts(20).await?;
        check(
            received == (0..20).map(|i| i.to_string()).collect::<Vec<_>>(),
            format!("{received:?}"),
        )?;
        subscriber.close().await?;
        publisher.close().await
    }

    pub async fn will_delay(&self) -> Fallible<()> {
        let topic = unique();
        let mut watcher = self.open("watcher").await?;
        watcher.subscribe(&topic, 1).await?;
        let options = Options {
            clean: false,
            will: Some((topic, "gone".into(), 1)),
            ..Options::new(&client_id("late"))
        };
        self.open_with(options.clone()).await?.cut().await;
        let second = self.open_with(options.clone()).await?;
        check(watcher.surplus(1500).await.is_empty(), "a will although the client came back")?;
        let start = Instant::now();
        second.cut().await;
        check(watcher.texts(1).await? == ["gone"], "another will")?;
        check(start.elapsed() > Duration::from_millis(800), "too early")?;
        watcher.close().await?;
        self.forget(&options).await
    }

    pub async fn assigned_id(&self) -> Fallible<()> {
        let client = self.open_with(Options::new("")).await?;
        check(
            client.assigned_id.as_ref().is_some_and(|id| !id.is_empty()),
            "no Assigned Client Identifier",
        )?;
        client.close().await
    }

    // With Receive Maximum 5 and no acknowledgement, five messages come and the sixth does not.
    pub async fn receive_maximum(&self) -> Fallible<()> {
        let topic = unique();
        let options = Options {
            manual_acks: true,
            receive_maximum: Some(5),
            ..Options::new(&client_id("five"))
        };
        let mut client = self.open_with(options).await?;
        client.subscribe(&topic, 1).await?;
        let mut publisher = self.open("pub").await?;
        for i in 0..50 {
            publisher.publish(&topic, i.to_string(), 1, false).await?;
        }
        let mut seen = client.surplus(300).await;
        check(seen.len() == 5, format!("{} at once", seen.len()))?;
        for at in 0..50 {
            if at == seen.len() {
                seen.push(client.next().await?);
            }
            check(seen[at].payload == at.to_string().as_bytes(), format!("{:?}", seen[at]))?;
            client.acknowledge(&seen[at]).await?;
        }
        client.close().await?;
        publisher.close().await
    }
}
