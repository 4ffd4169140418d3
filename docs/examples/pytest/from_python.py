from quorate.explore.catalogue import Aim, load
from quorate.explore.outcome import judge
from quorate.scenario.tape import Tape

outcome = judge(load(Aim("paxos")), Tape(7))
print(outcome.verdict, outcome.violation)
for record in outcome.world.records[:5]:
    print(record.time, record.label, record.after)
