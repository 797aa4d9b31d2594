"""Cases for paho-mqtt against a broker: python cases.py CASE VERSION PORT [TRANSPORT [CAFILE]], exit code
0 if it holds. VERSION is 3.1, 3.1.1 or 5.0; TRANSPORT tcp, tls, ws or wss, by TLS to "localhost". Each case is a function below; the test file names them too.
"""

import queue
import socket
import sys
import threading
import time
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PROTOCOLS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}
TIMEOUT_S = 15
TRANSPORT = (sys.argv[4:5] or ["tcp"])[0]
HOST = "localhost" if TRANSPORT in ("tls", "wss") else "127.0.0.1"


class Client:
    """paho with its network thread, and blocking calls for what the cases wait for."""

    def __init__(self, port, version, client_id=None, clean=True, expiry_s=300, will=None, before=None):
        self.port, self.version, self.clean, self.expiry_s = port, version, clean, expiry_s
        self.messages = queue.Queue()
        self.connected = threading.Event()
        self.disconnected = threading.Event()
        self.acknowledged = {}
        self.flags = self.connack = self.reason = None
        name = client_id if client_id is not None else "paho-" + uuid.uuid4().hex[:10]
        session = {} if version == "5.0" else {"clean_session": clean}
        if TRANSPORT in ("ws", "wss"):
            session["transport"] = "websockets"
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=PROTOCOLS[version], **session
        )
        if TRANSPORT in ("tls", "wss"):
            self.paho.tls_set(ca_certs=sys.argv[5])
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_message = lambda _client, _data, message: self.messages.put(message)
        self.paho.on_subscribe = self._on_acknowledged
        self.paho.on_unsubscribe = self._on_acknowledged
        self.paho.reconnect_delay_set(min_delay=1, max_delay=1)
        if will is not None:
            self.paho.will_set(**will)
        if before is not None:
            before(self.paho)
        self.connect()

    def connect(self, properties=None):
        self.connected.clear()
        self.disconnected.clear()
        if self.version == "5.0":
            properties = properties or Properties(PacketTypes.CONNECT)
            if not self.clean:
                properties.SessionExpiryInterval = self.expiry_s
            self.paho.connect(HOST, self.port, clean_start=self.clean, properties=properties)
        else:
            self.paho.connect(HOST, self.port)
        self.paho.loop_start()
        assert self.connected.wait(TIMEOUT_S), "no CONNACK"
        return self

    def _on_connect(self, _client, _data, flags, reason, properties):
        assert not reason.is_failure, f"refused: {reason}"
        self.flags, self.connack = flags, properties
        self.connected.set()

    def _on_disconnect(self, _client, _data, _flags, reason, _properties):
        self.reason = reason
        self.disconnected.set()

    def _on_acknowledged(self, _client, _data, mid, reasons, _properties):
        self.acknowledged[mid] = reasons

    def _wait(self, mid):
        deadline = time.monotonic() + TIMEOUT_S
        while mid not in self.acknowledged:
            assert time.monotonic() < deadline, "no acknowledgement"
            time.sleep(0.001)
        return self.acknowledged.pop(mid)

    def subscribe(self, topic, qos=0, options=None, properties=None):
        if self.version == "5.0" and options is not None:
            _, mid = self.paho.subscribe(topic, options=options, properties=properties)
        else:
            _, mid = self.paho.subscribe(topic, qos, properties=properties)
        return self._wait(mid)

    def unsubscribe(self, topic):
        _, mid = self.paho.unsubscribe(topic)
        return self._wait(mid)

    def publish(self, topic, payload, qos=0, retain=False, properties=None):
        info = self.paho.publish(topic, payload, qos, retain, properties)
        info.wait_for_publish(TIMEOUT_S)
        assert info.is_published(), "not acknowledged"

    def take(self, count):
        return [self.messages.get(timeout=TIMEOUT_S) for _ in range(count)]

    def texts(self, count):
        return [message.payload.decode() for message in self.take(count)]

    def nothing_more(self, seconds=0.2):
        time.sleep(seconds)
        extra = self.messages.qsize()
        assert extra == 0, f"{extra} messages too many, the first: {self.messages.get().payload[:40]}"

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def cut(self):
        """Breaks the connection without DISCONNECT; paho's thread connects again after a second."""
        self.connected.clear()
        connection = self.paho.socket()
        # paho's WebSocket keeps the socket to itself.
        getattr(connection, "_socket", connection).shutdown(socket.SHUT_RDWR)

    def stop(self):
        """Breaks the connection for good."""
        self.paho.loop_stop()
        self.paho.socket().close()


def topic():
    return "paho/" + uuid.uuid4().hex[:10]


def all_qos(port, version):
    for qos in (0, 1, 2):
        name = topic()
        subscriber, publisher = Client(port, version), Client(port, version)
        subscriber.subscribe(name + "/#", qos)
        sent = [f"message {i}" for i in range(500)]
        last = None
        for text in sent:
            last = publisher.paho.publish(name + "/a", text, qos)
        last.wait_for_publish(TIMEOUT_S)
        received = subscriber.take(len(sent))
        assert [message.payload.decode() for message in received] == sent, f"QoS {qos}: order"
        assert {message.qos for message in received} == {qos}
        assert not any(message.retain for message in received)
        subscriber.nothing_more()
        subscriber.close()
        publisher.close()


def retained(port, version):
    name = topic()
    client = Client(port, version)
    client.publish(name + "/a", "one", 1, True)
    client.publish(name + "/b", "two", 1, True)
    client.publish(name + "/a", "three", 2, True)
    client.subscribe(name + "/+", 2)
    received = sorted(client.take(2), key=lambda message: message.topic)
    assert [message.payload for message in received] == [b"three", b"two"]
    assert all(message.retain for message in received)
    client.publish(name + "/a", "", 1, True)
    assert client.take(1)[0].retain is False
    late = Client(port, version)
    late.subscribe(name + "/+", 0)
    assert late.texts(1) == ["two"]
    late.nothing_more()
    client.publish(name + "/b", "", 1, True)
    client.close()
    late.close()


def will(port, version):
    name = topic()
    watcher = Client(port, version)
    watcher.subscribe(name, 2)
    last = {"topic": name, "payload": "gone", "qos": 2, "retain": False}
    polite = Client(port, version, will=last)
    polite.close()
    watcher.nothing_more()
    broken = Client(port, version, will=last)
    broken.stop()
    message = watcher.take(1)[0]
    assert (message.payload, message.qos) == (b"gone", 2)
    watcher.nothing_more()
    watcher.close()


def persistent(port, version):
    name, identity = topic(), "paho-p-" + uuid.uuid4().hex[:8]
    first = Client(port, version, identity, clean=False)
    assert not first.flags.session_present
    first.subscribe(name + "/1", 1)
    first.subscribe(name + "/2", 2)
    first.close()
    publisher = Client(port, version)
    for i in range(100):
        publisher.publish(f"{name}/{1 + i % 2}", str(i), 1 + i % 2)
    again = Client(port, version, identity, clean=False)
    # MQTT 3.1 has no Session Present.
    assert again.flags.session_present or version == "3.1"
    received = [int(text) for text in again.texts(100)]
    assert [n for n in received if n % 2 == 0] == list(range(0, 100, 2)), "order of QoS 1"
    assert [n for n in received if n % 2 == 1] == list(range(1, 100, 2)), "order of QoS 2"
    again.nothing_more()
    again.unsubscribe(name + "/1")
    again.close()
    publisher.publish(name + "/1", "not wanted", 1)
    once_more = Client(port, version, identity, clean=False)
    once_more.nothing_more()
    once_more.close()
    clean = Client(port, version, identity, clean=True)
    assert not clean.flags.session_present
    clean.close()
    publisher.close()


def broken_connections(port, version):
    """QoS 2 exactly once and QoS 1 at least once while publisher and subscriber lose connections."""
    name, suffix = topic(), uuid.uuid4().hex[:8]
    subscriber = Client(port, version, "paho-bs-" + suffix, clean=False)
    subscriber.subscribe(name + "/1", 1)
    subscriber.subscribe(name + "/2", 2)
    publisher = Client(port, version, "paho-bp-" + suffix, clean=False)
    infos = []
    for i in range(300):
        infos.append(publisher.paho.publish(f"{name}/{1 + i % 2}", str(i), 1 + i % 2))
        if i in (60, 180):
            publisher.cut()
            assert publisher.connected.wait(TIMEOUT_S)
        if i in (120, 240):
            subscriber.cut()
            assert subscriber.connected.wait(TIMEOUT_S)
    for info in infos:
        info.wait_for_publish(TIMEOUT_S)
    seen = {1: [], 2: []}
    while len(set(seen[1])) < 150 or len(seen[2]) < 150:
        message = subscriber.messages.get(timeout=TIMEOUT_S)
        seen[message.qos].append(int(message.payload))
    time.sleep(0.3)
    while not subscriber.messages.empty():
        message = subscriber.messages.get()
        seen[message.qos].append(int(message.payload))
    assert sorted(set(seen[1])) == list(range(0, 300, 2)), "QoS 1 lost"
    assert seen[2] == list(range(1, 300, 2)), "QoS 2 not once and in order"
    for client in (publisher, subscriber):
        client.close()
        Client(port, version, client.paho._client_id.decode()).close()


def large(port, version):
    name = topic()
    subscriber, publisher = Client(port, version), Client(port, version)
    subscriber.subscribe(name, 2)
    for size in (0, 1, 127, 128, 16_383, 16_384, 300_000, 1_000_000):
        payload = bytes(i * 31 % 251 for i in range(min(size, 997))) * (size // 997 + 1)
        publisher.publish(name, payload[:size], 2)
        assert subscriber.take(1)[0].payload == payload[:size], f"{size} bytes"
    subscriber.close()
    publisher.close()


def wildcards(port, version):
    name = topic()
    client = Client(port, version)
    client.subscribe([(name + "/+/x", 1), (name + "/deep/#", 0)])
    for level in ("a/x", "b/x", "deep", "deep/1/2/3", "a/y", "a/x/y"):
        client.publish(f"{name}/{level}", level, 1)
    assert client.texts(4) == ["a/x", "b/x", "deep", "deep/1/2/3"]
    client.unsubscribe([name + "/+/x", name + "/deep/#"])
    client.publish(name + "/a/x", "late", 1)
    client.nothing_more()
    client.close()


def shared(port, version):
    name = topic()
    members = [Client(port, version) for _ in range(3)]
    for member in members:
        member.subscribe(f"$share/group/{name}/#", 1)
    publisher = Client(port, version)
    for i in range(90):
        publisher.publish(f"{name}/{i}", str(i), 1)
    time.sleep(0.5)
    parts = [member.texts(member.messages.qsize()) for member in members]
    assert sorted(int(text) for part in parts for text in part) == list(range(90)), parts
    assert all(len(part) > 10 for part in parts), [len(part) for part in parts]
    for client in (*members, publisher):
        client.close()


def properties(port, _version):
    name = topic()
    client = Client(port, "5.0", client_id="")
    assert client.connack.AssignedClientIdentifier
    client.subscribe(name, 2)
    sent = Properties(PacketTypes.PUBLISH)
    sent.PayloadFormatIndicator = 1
    sent.MessageExpiryInterval = 100
    sent.ContentType = "text/plain"
    sent.ResponseTopic = "answer/here"
    sent.CorrelationData = bytes(range(256))
    sent.UserProperty = [("name", "first"), ("other", "ü"), ("name", "second")]
    client.publish(name, "text", 2, properties=sent)
    got = client.take(1)[0].properties
    assert got.PayloadFormatIndicator == 1 and got.ContentType == "text/plain"
    assert got.ResponseTopic == "answer/here" and got.CorrelationData == bytes(range(256))
    assert got.UserProperty == [("name", "first"), ("other", "ü"), ("name", "second")]
    assert 90 < got.MessageExpiryInterval <= 100
    client.close()


def subscribe_options(port, _version):
    name = topic()
    client, other = Client(port, "5.0"), Client(port, "5.0")
    other.publish(name, "retained", 1, True)
    identified = Properties(PacketTypes.SUBSCRIBE)
    identified.SubscriptionIdentifier = 300_000
    # Retain Handling 1: only for a subscription that is new.
    options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True, retainHandling=1)
    client.subscribe(name, options=options, properties=identified)
    first = client.take(1)[0]
    assert first.retain and first.properties.SubscriptionIdentifier == [300_000]
    client.subscribe(name, options=options, properties=identified)
    client.publish(name, "own", 1)
    # Its own retained message neither [MQTT-3.8.3-3].
    client.publish(name + "/mine", "own", 1, True)
    client.subscribe(name + "/mine", options=options, properties=identified)
    client.nothing_more()
    other.publish(name, "kept", 1, True)
    assert client.take(1)[0].retain, "Retain As Published"
    never = SubscribeOptions(qos=1, retainHandling=2)
    other.subscribe(name, options=never)
    other.nothing_more()
    other.publish(name, "", 1, True)
    other.publish(name + "/mine", "", 1, True)
    reasons = other.unsubscribe("never/subscribed")
    assert reasons[0].value == 0x11, reasons
    client.close()
    other.close()


def flow_control(port, _version):
    """A client that allows 5 messages at a time gets all of 300, never more than 5 at a time."""
    name, identity = topic(), "paho-f-" + uuid.uuid4().hex[:8]
    connect = Properties(PacketTypes.CONNECT)
    connect.ReceiveMaximum = 5
    slow = Client(port, "5.0", identity, clean=False)
    slow.subscribe(name, 2)
    slow.close()
    slow.paho.manual_ack_set(True)
    slow.connect(connect)
    publisher = Client(port, "5.0")
    for i in range(300):
        publisher.publish(name, str(i), 1 + i % 2)
    seen = []
    while len(seen) < 300:
        batch = [slow.messages.get(timeout=TIMEOUT_S)]
        time.sleep(0.002)
        while not slow.messages.empty():
            batch.append(slow.messages.get())
        assert len(batch) <= 5, f"{len(batch)} at a time"
        seen += [int(message.payload) for message in batch]
        for message in batch:
            slow.paho.ack(message.mid, message.qos)
    for rest in (0, 1):
        ordered = [n for n in seen if n % 2 == rest]
        assert ordered == list(range(rest, 300, 2))
    slow.nothing_more()
    slow.close()
    Client(port, "5.0", identity).close()
    publisher.close()


def will_delay(port, _version):
    name, identity = topic(), "paho-w-" + uuid.uuid4().hex[:8]
    watcher = Client(port, "5.0")
    watcher.subscribe(name, 1)
    delay = Properties(PacketTypes.WILLMESSAGE)
    delay.WillDelayInterval = 1
    last = {"topic": name, "payload": "gone", "qos": 1, "properties": delay}
    Client(port, "5.0", identity, clean=False, will=last).stop()
    start = time.monotonic()
    assert watcher.texts(1) == ["gone"]
    assert time.monotonic() - start > 0.8
    # DISCONNECT 0x04 asks for the will although the client says goodbye.
    asking = Client(port, "5.0", will={"topic": name, "payload": "asked", "qos": 1})
    asking.paho.disconnect(reasoncode=mqtt.ReasonCode(PacketTypes.DISCONNECT, identifier=4))
    assert watcher.texts(1) == ["asked"]
    asking.paho.loop_stop()
    watcher.close()
    Client(port, "5.0", identity).close()


def taken_over(port, version):
    identity = "paho-t-" + uuid.uuid4().hex[:8]
    first = Client(port, version, identity)
    # paho would connect again by itself and take over in its turn.
    first.paho.reconnect_delay_set(min_delay=60, max_delay=60)
    second = Client(port, version, identity)
    assert first.disconnected.wait(TIMEOUT_S)
    if version == "5.0":
        assert first.reason.value == 0x8E, first.reason
    name = topic()
    second.subscribe(name)
    second.publish(name, "here")
    assert second.texts(1) == ["here"]
    first.paho._state = mqtt._ConnectionState.MQTT_CS_DISCONNECTED
    second.close()


if __name__ == "__main__":
    case, version, port = sys.argv[1:4]
    globals()[case](int(port), version)
    # paho's threads are daemons; one that still waits to reconnect must not keep the process.
    sys.stdout.flush()
    import os

    os._exit(0)
