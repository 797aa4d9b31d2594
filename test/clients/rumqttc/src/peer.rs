// One client of either protocol version behind one face: rumqttc has a module, and types, for each.
use rumqttc::v5;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(15);
pub type Fallible<T> = Result<T, String>;

#[derive(Clone, Copy, PartialEq)]
pub enum Version {
    Old,
    Modern,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub packet_id: u16,
    pub properties: Option<v5::mqttbytes::v5::PublishProperties>,
}

#[derive(Debug)]
enum Event {
    Connected { session_present: bool, assigned_id: Option<String> },
    Message(Message),
    Acknowledged,
    Subscribed(bool),
    Unsubscribed,
    Disconnected(Option<u8>),
    Ended(String),
}

#[derive(Clone)]
pub struct Options {
    pub client_id: String,
    pub clean: bool,
    pub will: Option<(String, String, u32)>,
    pub manual_acks: bool,
    pub receive_maximum: Option<u16>,
    pub topic_alias_maximum: Option<u16>,
}

impl Options {
    pub fn new(client_id: &str) -> Self {
        Options {
            client_id: client_id.to_string(),
            clean: true,
            will: None,
            manual_acks: false,
            receive_maximum: None,
            topic_alias_maximum: None,
        }
    }
}

enum Client {
    Old(rumqttc::AsyncClient),
    Modern(v5::AsyncClient),
}

pub struct Peer {
    client: Client,
    events: UnboundedReceiver<Event>,
    messages: VecDeque<Message>,
    loop_task: JoinHandle<()>,
    pub session_present: bool,
    pub assigned_id: Option<String>,
    unacknowledged: usize,
}

fn old_qos(qos: u8) -> rumqttc::QoS {
    rumqttc::qos(qos).expect("QoS 0 to 2")
}

fn modern_qos(qos: u8) -> v5::mqttbytes::QoS {
    v5::mqttbytes::qos(qos).expect("QoS 0 to 2")
}

fn from_old(event: rumqttc::Event) -> Option<Event> {
    use rumqttc::Packet;
    let rumqttc::Event::Incoming(packet) = event else {
        return None;
    };
    Some(match packet {
        Packet::ConnAck(ack) => {
            Event::Connected { session_present: ack.session_present, assigned_id: None }
        }
        Packet::Publish(publish) => Event::Message(Message {
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            qos: publish.qos as u8,
            retain: publish.retain,
            packet_id: publish.pkid,
            properties: None,
        }),
        Packet::PubAck(_) | Packet::PubComp(_) => Event::Acknowledged,
        Packet::SubAck(ack) => Event::Subscribed(
            ack.return_codes
                .iter()
                .all(|code| !matches!(code, rumqttc::SubscribeReasonCode::Failure)),
        ),
        Packet::UnsubAck(_) => Event::Unsubscribed,
        Packet::Disconnect => Event::Disconnected(None),
        _ => return None,
    })
}

fn from_modern(event: v5::Event) -> Option<Event> {
    use v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
    let v5::Event::Incoming(packet) = event else {
        return None;
    };
    Some(match packet {
        Packet::ConnAck(ack) => Event::Connected {
            session_present: ack.session_present,
            assigned_id: ack
                .properties
                .and_then(|properties| properties.assigned_client_identifier),
        },
        Packet::Publish(publish) => Event::Message(Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos as u8,
            retain: publish.retain,
            packet_id: publish.pkid,
            properties: publish.properties,
        }),
        Packet::PubAck(_) | Packet::PubComp(_) => Event::Acknowledged,
        Packet::SubAck(ack) => Event::Subscribed(
            ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))),
        ),
        Packet::UnsubAck(_) => Event::Unsubscribed,
        Packet::Disconnect(disconnect) => Event::Disconnected(Some(disconnect.reason_code as u8)),
        _ => return None,
    })
}

// A DISCONNECT from the broker is an error of rumqttc's event loop there, not an event.
fn end_of_modern(error: v5::ConnectionError) -> Event {
    match error {
        v5::ConnectionError::MqttState(v5::StateError::ServerDisconnect {
            reason_code, ..
        }) => Event::Disconnected(Some(reason_code as u8)),
        other => Event::Ended(other.to_string()),
    }
}

impl Peer {
    pub async fn open(port: u16, version: Version, options: Options) -> Fallible<Peer> {
        let (sender, events) = unbounded_channel();
        let (client, loop_task) = match version {
            Version::Old => {
                let mut mqtt = rumqttc::MqttOptions::new(options.client_id, "127.0.0.1", port);
                mqtt.set_clean_session(options.clean);
                mqtt.set_manual_acks(options.manual_acks);
                mqtt.set_max_packet_size(2_000_000, 2_000_000);
                if let Some((topic, text, _)) = options.will {
                    mqtt.set_last_will(rumqttc::LastWill::new(topic, text, old_qos(1), false));
                }
                let (client, mut event_loop) = rumqttc::AsyncClient::new(mqtt, 100);
                let task = tokio::spawn(async move {
                    loop {
                        let event = match event_loop.poll().await {
                            Ok(event) => from_old(event),
                            Err(error) => {
                                let _ = sender.send(Event::Ended(error.to_string()));
                                return;
                            }
                        };
                        if event.is_some_and(|event| sender.send(event).is_err()) {
                            return;
                        }
                    }
                });
                (Client::Old(client), task)
            }
            Version::Modern => {
                let mut mqtt = v5::MqttOptions::new(options.client_id, "127.0.0.1", port);
                mqtt.set_clean_start(options.clean);
                mqtt.set_manual_acks(options.manual_acks);
                mqtt.set_max_packet_size(Some(2_000_000));
                mqtt.set_session_expiry_interval(Some(if options.clean { 0 } else { 300 }));
                mqtt.set_receive_maximum(options.receive_maximum);
                mqtt.set_topic_alias_max(options.topic_alias_maximum);
                if let Some((topic, text, delay_s)) = options.will {
                    use v5::mqttbytes::v5::{LastWill, LastWillProperties};
                    let properties = LastWillProperties {
                        delay_interval: Some(delay_s),
                        payload_format_indicator: None,
                        message_expiry_interval: None,
                        content_type: None,
                        response_topic: None,
                        correlation_data: None,
                        user_properties: vec![],
                    };
                    let qos = modern_qos(1);
                    mqtt.set_last_will(LastWill::new(topic, text, qos, false, Some(properties)));
                }
                let (client, mut event_loop) = v5::AsyncClient::new(mqtt, 100);
                let task = tokio::spawn(async move {
                    loop {
                        let event = match event_loop.poll().await {
                            Ok(event) => from_modern(event),
                            Err(error) => {
                                let _ = sender.send(end_of_modern(error));
                                return;
                            }
                        };
                        if event.is_some_and(|event| sender.send(event).is_err()) {
                            return;
                        }
                    }
                });
                (Client::Modern(client), task)
            }
        };
        let mut peer = Peer {
            client,
            events,
            messages: VecDeque::new(),
            loop_task,
            session_present: false,
            assigned_id: None,
            unacknowledged: 0,
        };
        peer.wait("CONNACK", |event| matches!(event, Event::Connected { .. })).await?;
        Ok(peer)
    }

    // Takes events until one is `wanted`; messages are kept, the end of the connection is an error.
    async fn wait(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Fallible<Event> {
        loop {
            let next = timeout(PATIENCE, self.events.recv()).await;
            let event =
                next.map_err(|_| format!("no {what}"))?.ok_or(format!("no {what}: no events"))?;
            match &event {
                Event::Connected { session_present, assigned_id } => {
                    self.session_present = *session_present;
                    self.assigned_id = assigned_id.clone();
                }
                Event::Message(message) => self.messages.push_back(message.clone()),
                Event::Acknowledged => self.unacknowledged = self.unacknowledged.saturating_sub(1),
                Event::Subscribed(_)
                | Event::Unsubscribed
                | Event::Disconnected(_)
                | Event::Ended(_) => {}
            }
            if wanted(&event) {
                return Ok(event);
            }
            if let Event::Ended(reason) = event {
                return Err(format!("no {what}: {reason}"));
            }
        }
    }

    pub async fn subscribe(&mut self, filter: &str, qos: u8) -> Fallible<()> {
        match &self.client {
            Client::Old(client) => {
                client.subscribe(filter, old_qos(qos)).await.map_err(|e| e.to_string())?
            }
            Client::Modern(client) => {
                client.subscribe(filter, modern_qos(qos)).await.map_err(|e| e.to_string())?
            }
        }
        match self.wait("SUBACK", |event| matches!(event, Event::Subscribed(_))).await? {
            Event::Subscribed(true) => Ok(()),
            _ => Err(format!("subscribing to {filter} was refused")),
        }
    }

    pub async fn unsubscribe(&mut self, filter: &str) -> Fallible<()> {
        match &self.client {
            Client::Old(client) => client.unsubscribe(filter).await.map_err(|e| e.to_string())?,
            Client::Modern(client) => {
                client.unsubscribe(filter).await.map_err(|e| e.to_string())?
            }
        }
        self.wait("UNSUBACK", |event| matches!(event, Event::Unsubscribed)).await.map(|_| ())
    }

    /// Hands the message to the client; acknowledged() waits for what was handed over.
    pub async fn send(
        &mut self,
        topic: &str,
        payload: impl Into<Vec<u8>>,
        qos: u8,
        retain: bool,
    ) -> Fallible<()> {
        let payload = payload.into();
        match &self.client {
            Client::Old(client) => client
                .publish(topic, old_qos(qos), retain, payload)
                .await
                .map_err(|e| e.to_string())?,
            Client::Modern(client) => client
                .publish(topic, modern_qos(qos), retain, payload)
                .await
                .map_err(|e| e.to_string())?,
        }
        self.unacknowledged += usize::from(qos > 0);
        Ok(())
    }

    pub async fn send_with(
        &mut self,
        topic: &str,
        payload: &str,
        properties: v5::mqttbytes::v5::PublishProperties,
    ) -> Fallible<()> {
        let Client::Modern(client) = &self.client else {
            return Err("properties need 5.0".into());
        };
        let sent = client
            .publish_with_properties(topic, modern_qos(1), false, payload.to_string(), properties)
            .await;
        self.unacknowledged += 1;
        sent.map_err(|e| e.to_string())
    }

    pub async fn acknowledged(&mut self) -> Fallible<()> {
        while self.unacknowledged > 0 {
            self.wait("acknowledgement", |event| matches!(event, Event::Acknowledged)).await?;
        }
        Ok(())
    }

    pub async fn publish(
        &mut self,
        topic: &str,
        payload: impl Into<Vec<u8>>,
        qos: u8,
        retain: bool,
    ) -> Fallible<()> {
        self.send(topic, payload, qos, retain).await?;
        self.acknowledged().await
    }

    pub async fn next(&mut self) -> Fallible<Message> {
        while self.messages.is_empty() {
            self.wait("message", |event| matches!(event, Event::Message(_))).await?;
        }
        Ok(self.messages.pop_front().expect("a message was waited for"))
    }

    pub async fn texts(&mut self, count: usize) -> Fallible<Vec<String>> {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(String::from_utf8_lossy(&self.next().await?.payload).into_owned());
        }
        Ok(texts)
    }

    /// What came unasked within `ms`.
    pub async fn surplus(&mut self, ms: u64) -> Vec<Message> {
        let wait = self.wait("nothing", |_| false);
        let _ = timeout(Duration::from_millis(ms), wait).await;
        self.messages.drain(..).collect()
    }

    pub async fn acknowledge(&self, message: &Message) -> Fallible<()> {
        match &self.client {
            Client::Old(client) => {
                let mut publish =
                    rumqttc::Publish::new(&message.topic, old_qos(message.qos), vec![]);
                publish.pkid = message.packet_id;
                client.ack(&publish).await.map_err(|e| e.to_string())
            }
            Client::Modern(client) => {
                let topic = message.topic.clone();
                let mut publish =
                    v5::mqttbytes::v5::Publish::new(topic, modern_qos(message.qos), vec![], None);
                publish.pkid = message.packet_id;
                client.ack(&publish).await.map_err(|e| e.to_string())
            }
        }
    }

    /// The Reason Code of the broker's DISCONNECT, if there was one, once the connection has ended.
    pub async fn ended(&mut self) -> Fallible<Option<u8>> {
        let is_end = |event: &Event| matches!(event, Event::Disconnected(_) | Event::Ended(_));
        match self.wait("end of the connection", is_end).await? {
            Event::Disconnected(code) => Ok(code),
            _ => Ok(None),
        }
    }

    /// DISCONNECT, then close.
    pub async fn close(mut self) -> Fallible<()> {
        match &self.client {
            Client::Old(client) => client.disconnect().await.map_err(|e| e.to_string())?,
            Client::Modern(client) => client.disconnect().await.map_err(|e| e.to_string())?,
        }
        self.ended().await.map(|_| ())
    }

    /// Closes the socket without DISCONNECT.
    pub async fn cut(self) {
        self.loop_task.abort();
        let _ = self.loop_task.await;
    }
}
