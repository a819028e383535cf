# SPDX-License-Identifier: BSD-2-Clause
# A receiver's feedback by RTCP: receiver reports once per second (RFC 3550 section 6.4.2), and the sender's RTCP:
# sender reports and goodbyes.
from dredge_device import rtcp

CNAME = b"dredge"


class Feedback:
    def __init__(self, ssrc):
        self._ssrc = ssrc
        self._counted = (0, 0)  # expected and lost at the last report
        self._sender = None  # (middle 32 bits of the NTP time, arrival) of the last sender report

    # Take in the RTCP packets of one datagram; return True when the stream said goodbye.
    def heard(self, packets, now_us, stream):
        ended = False
        for packet in packets:
            if packet.kind == rtcp.SENDER_REPORT and len(packet.body) >= 12:
                source, middle = rtcp.parse_sender_report(packet)
                if stream is None or source == stream:
                    self._sender = (middle, now_us)
            elif packet.kind == rtcp.BYE and stream is not None:
                ended = ended or stream in rtcp.parse_bye(packet)
        return ended

    # Return the compound datagram: receiver report and source description.
    def report(self, document, stream, now_us):
        packets = document["packets"]
        expected = packets.get("sent", packets["expected"])
        lost = packets.get("missing", packets["lost"])
        fresh, missing = expected - self._counted[0], lost - self._counted[1]
        self._counted = (expected, lost)
        heard = self._sender or (0, now_us)
        highest = document["stream"].get("sequence", document["stream"]["highest"])
        report = rtcp.build_receiver_report(
            self._ssrc,
            stream,
            256 * missing // fresh if fresh > 0 and missing > 0 else 0,
            lost,
            highest or 0,
            int(document["delay_ms"]["jitter"] * 48),
            heard[0],
            (now_us - heard[1]) * 65536 // 1000000 if self._sender else 0,
        )
        return report + rtcp.build_sdes(self._ssrc, CNAME)
