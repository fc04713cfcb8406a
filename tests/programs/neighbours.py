"""A small real workload of a package that has much C, C++ or Rust below it; the argument names it. The output is the same each time."""

import sys


def of_greenlet():
    import greenlet

    def leaf(depth):
        return leaf(depth - 1) if depth else greenlet.getcurrent().parent.switch([bytes(90)] * 3)

    workers = [greenlet.greenlet(leaf) for _ in range(200)]
    print(sum(len(worker.switch(number % 30)) for number, worker in enumerate(workers)))


def of_gevent():
    from gevent import monkey

    monkey.patch_all()
    import socket
    import threading

    import gevent
    from gevent.pool import Pool
    from gevent.server import StreamServer

    def serve(connection, address):
        with connection, connection.makefile("rwb") as stream:
            for line in stream:
                stream.write(line.upper())
                stream.flush()

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()

    def ask(number):
        with (
            socket.create_connection(("127.0.0.1", server.server_port)) as connection,
            connection.makefile("rwb") as stream,
        ):
            stream.write(b"request %d\n" % number)
            stream.flush()
            return stream.readline()

    answers = Pool(20).map(ask, range(100))
    threads = [threading.Thread(target=gevent.sleep, args=(0.001,)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.stop()
    print(len(answers), answers[-1])


def of_numpy():
    import numpy

    matrix = numpy.arange(250_000, dtype=float).reshape(500, 500)
    product = matrix @ matrix.T / 1e6
    print(
        product.shape,
        round(float(numpy.linalg.norm(product)), 3),
        numpy.sort(matrix.ravel())[-1],
        len(numpy.fft.fft(matrix[0])),
    )


def of_pandas():
    import pandas

    table = pandas.DataFrame(
        {"key": [n % 97 for n in range(50_000)], "value": range(50_000), "text": [str(n % 13) for n in range(50_000)]}
    )
    sums = table.groupby(["key", "text"]).value.sum()
    print(len(sums), int(sums.iloc[-1]), table.merge(table.head(100), on="value").shape, len(table.to_csv()))


def of_lxml():
    from lxml import etree

    text = "<a>%s</a>" % "".join("<b n='%d'><c>text %d</c></b>" % (n, n) for n in range(5000))
    tree = etree.fromstring(text)
    style = etree.XSLT(
        etree.XML(
            '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
            '<xsl:template match="/"><n><xsl:value-of select="count(//c)"/></n></xsl:template></xsl:stylesheet>'
        )
    )
    print(len(tree.xpath("//c")), str(style(tree)).strip().splitlines()[-1], len(etree.tostring(tree)))


def of_pyarrow():
    import io

    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    table = pyarrow.table({"key": [n % 97 for n in range(200_000)], "text": [str(n % 1013) for n in range(200_000)]})
    grouped = table.group_by("text").aggregate([("key", "sum")])
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression="zstd")
    again = pyarrow.parquet.read_table(io.BytesIO(file.getvalue()))
    print(grouped.num_rows, pyarrow.compute.sum(grouped["key_sum"]), again.num_rows, again.equals(table))


def of_polars():
    import polars

    table = polars.DataFrame(
        {
            "key": [n % 97 for n in range(200_000)],
            "value": range(200_000),
            "text": [str(n % 13) for n in range(200_000)],
        }
    )
    sums = table.lazy().group_by("key", "text").agg(polars.col("value").sum()).sort("key", "text").collect()
    print(sums.shape, sums["value"].sum(), table.join(table.head(50), on="value").shape)


def of_orjson():
    import orjson

    document = [{"name": "number %d" % n, "values": list(range(n % 30)), "pi": n / 7} for n in range(5000)]
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    print(len(text), orjson.loads(text) == document)


def of_uvloop():
    import asyncio

    import uvloop

    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def ask(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"request %d\n" % number)
        answer = await reader.readline()
        writer.close()
        return answer

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        answers = await asyncio.gather(*(ask(port, number) for number in range(200)))
        command = await asyncio.create_subprocess_exec("/bin/echo", "from a child", stdout=asyncio.subprocess.PIPE)
        output, _ = await command.communicate()
        server.close()
        return len(answers), answers[-1], output

    print(uvloop.run(main()) if hasattr(uvloop, "run") else None)


def of_cryptography():
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    box = Fernet(Fernet.generate_key())
    assert all(box.decrypt(box.encrypt(bytes([n]) * 1000)) == bytes([n]) * 1000 for n in range(100))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signature = key.sign(b"text", padding.PKCS1v15(), hashes.SHA256())
    key.public_key().verify(signature, b"text", padding.PKCS1v15(), hashes.SHA256())
    curve = ec.generate_private_key(ec.SECP256R1())
    curve.public_key().verify(curve.sign(b"text", ec.ECDSA(hashes.SHA256())), b"text", ec.ECDSA(hashes.SHA256()))
    print(len(signature))


def of_grpc():
    from concurrent import futures

    import grpc

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request.upper())

    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel("127.0.0.1:%d" % port) as channel:
        call = channel.unary_unary("/service/method")
        answers = [call(b"request %d" % number) for number in range(100)]
    server.stop(None).wait()
    print(len(answers), answers[-1])


def of_coverage():
    import coverage

    watch = coverage.Coverage(data_file=None, branch=True)
    watch.start()
    import textwrap

    text = textwrap.fill("word " * 2000, 60)
    watch.stop()
    data = watch.get_data()
    print(len(text), sorted(len(data.lines(name) or ()) > 0 for name in data.measured_files())[-1:])


globals()["of_" + sys.argv[1]]()
