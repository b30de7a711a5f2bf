"""The synchronous client for scripts: ``with sync.connect(url) as client: …``.

Example::

    from tachikoma_proto import sync

    with sync.connect("wss://tachikoma.example", token=token) as client:
        status = client.request(GetMissionStatus(mission_id=m))
        with client.subscription(topics.mission(m)) as events:
            for event in events:
                print(event)
"""

from tachikoma_proto.client.sync import Client, EventStream, connect

__all__ = ["Client", "EventStream", "connect"]
