"""A client of HTTP/3 over aioquic: requests with and without bodies, many at a time, and from another address."""

import asyncio
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.http = H3Connection(self._quic)
        self.answers = {}

    def quic_event_received(self, event):
        for part in self.http.handle_event(event):
            if not isinstance(part, (HeadersReceived, DataReceived)):
                continue
            done, fields, body = self.answers[part.stream_id]
            if isinstance(part, HeadersReceived):
                fields.update(part.headers)
            else:
                body.extend(part.data)
            if part.stream_ended and not done.done():
                done.set_result((fields, bytes(body)))

    async def request(self, method, path, body=b""):
        stream = self._quic.get_next_available_stream_id()
        done = asyncio.get_running_loop().create_future()
        self.answers[stream] = (done, {}, bytearray())
        fields = [
            (b":method", method),
            (b":scheme", b"https"),
            (b":authority", b"a.test"),
            (b":path", path),
            (b"user-agent", b"aioquic"),
        ]
        self.http.send_headers(stream, fields, end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        fields, received = await asyncio.wait_for(done, 15)
        assert fields[b":status"] == b"200", fields
        assert fields[b"x-asked"] == method + b" " + path + b" HTTP/1.1", fields
        assert received == body, (len(received), len(body))


async def main(port):
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=["h3"],
        verify_mode=ssl.CERT_NONE,
        server_name="a.test",
    )
    async with connect(
        "127.0.0.1",
        port,
        configuration=configuration,
        create_protocol=Client,
        local_port=0,
    ) as client:
        await client.request(b"GET", b"/foreign")
        await client.request(b"POST", b"/body", b"x" * 1_000_000)
        paths = [b"/%d" % number for number in range(50)]
        await asyncio.gather(*(client.request(b"GET", path) for path in paths))
        loop = asyncio.get_running_loop()
        for turn in range(4):
            # The protocol gets another socket under it, and a connection id that was not seen before.
            before = client._transport
            await loop.create_datagram_endpoint(
                lambda: client, local_addr=("::ffff:127.0.0.1", 0)
            )
            client.change_connection_id()
            await client.request(b"POST", b"/moved", b"y" * 10_000)
            before.abort()
    print("all is well")


asyncio.run(main(int(sys.argv[1])))
