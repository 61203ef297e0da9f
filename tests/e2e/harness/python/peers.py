"""What the Python programs of the tests are made of: a check, and clients and instances that are PyPI's `h2`."""

import contextlib, socket, ssl, sys, threading
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, StreamReset
from h2.settings import Settings


def check(what, got, expected):
    """Ends the program unless it got what was expected."""
    if got != expected:
        sys.exit(f'{what}: {got!r}, expected {expected!r}')


def host_and_port(address):
    host, port = address.rsplit(':', 1)
    return host, int(port)


class End(H2Connection):
    """One end of an HTTP/2 connection over `stream`, with these settings and options of `H2Configuration`."""

    def __init__(self, stream, settings, **options):
        super().__init__(H2Configuration(header_encoding='utf-8', **options))
        if settings:
            self.local_settings = Settings(client=self.config.client_side, initial_values=settings)
        self.initiate_connection()
        self.stream = stream
        # One for the whole life of the connection: whoever stops looking goes on later where it was.
        self.events = self.receive()

    def send(self):
        """Sends what is to be sent."""
        self.stream.sendall(self.data_to_send())

    def receive(self):
        """Whatever comes until the other end closes; what is to be sent is sent before each wait."""
        while True:
            self.send()
            received = self.stream.recv(65536)
            if not received:
                return
            yield from self.receive_data(received)

    def room(self, number):
        """How many bytes the next DATA frame of a stream may have."""
        return min(self.local_flow_control_window(number), self.max_outbound_frame_size)


class Client(End):
    """Connected to `address`, in TLS where an authority is named. A `fatal` event ends the program, and so does the end of
    the connection."""

    def __init__(self, address, authority=None, settings=None, fatal=(StreamReset, ConnectionTerminated)):
        stream = socket.create_connection(host_and_port(address), timeout=15)
        if authority:
            context = ssl.create_default_context(cafile=authority)
            context.set_alpn_protocols(['h2'])
            stream = context.wrap_socket(stream, server_hostname='web.test')
        super().__init__(stream, settings)
        self.fatal = fatal

    def receive(self):
        for event in super().receive():
            if isinstance(event, self.fatal):
                sys.exit(repr(event))
            yield event
        sys.exit('closed')

    def ask(self, method, path, fields=(), scheme='http', end_stream=False):
        """Begins a request. The number of its stream."""
        number = self.get_next_available_stream_id()
        pseudo = [(':method', method), (':scheme', scheme), (':authority', 'a'), (':path', path)]
        self.send_headers(number, [*pseudo, *fields], end_stream=end_stream)
        return number


class Server(End):
    """What an instance is on a connection that it has taken."""

    def __init__(self, stream, settings=None, **options):
        super().__init__(stream, settings, client_side=False, **options)


def listen(talk, address, chain=None, key=None):
    """Calls `talk` with every connection, each in a thread of its own, in TLS where a certificate is named."""
    context = None
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        context.set_alpn_protocols(['h2'])

    def take(stream):
        # A client may go at any time, which is no error of the instance.
        with contextlib.suppress(OSError):
            if context:
                stream = context.wrap_socket(stream, server_side=True)
            with stream:
                talk(stream)

    listener = socket.create_server(host_and_port(address), backlog=128)
    while True:
        threading.Thread(target=take, args=listener.accept()[:1], daemon=True).start()
