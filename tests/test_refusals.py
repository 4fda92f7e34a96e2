"""Every mistake is answered by one line that names the key or the file, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from triplicate.cli import main

TWICE = "it is given twice; give it once"
SHARED = "all runs of a sweep share it"
NO_NAME = "is no name; choose one of"
FOLDERS = "the folders of runs follow from output_dir; give output_dir=DIR"
CODE = "import paths are refused"

# What is typed, as a shell would split it → how the answer begins.
COMMANDS = {
    # Words
    "": "'': it is neither a command nor key=value",
    "repport": "repport: it is neither a command nor key=value; did you mean report?",
    "optimizer:sgd": "optimizer:sgd: it is neither a command nor key=value",
    "-1": "-1: it is neither a command nor key=value",
    "=3": "=3: it has no key",
    "+=3": "+=3: it has no key",
    "++=1": "++=1: it has no key",
    "~": "~: it has no key",
    "~=": "~=: it has no key",
    ".seed=0": ".seed: it cannot be read",
    "seed.=0": "seed.: it cannot be read",
    "optimizer..lr=0": "optimizer..lr: it cannot be read",
    "séed=0": "séed: it cannot be read",
    "optimizer/lr=0.1": "optimizer/lr: there is no such key; did you mean optimizer.lr?",
    "optimizer@x=sgd": "optimizer: @x would put it where no run reads it",
    "optimizer.lr@x=3": "optimizer.lr: @x would put it where no run reads it",
    "seed==0": "seed: it cannot be read",
    "optimizer.lr='0.1": "optimizer.lr: a quote is not closed",
    'optimizer.lr="0.1': "optimizer.lr: a quote is not closed",
    "report.title=it's": "report.title: a quote is not closed",
    "model.hidden=[4": "model.hidden: its brackets do not match",
    "model.hidden=4]": "model.hidden: its brackets do not match",
    "model.hidden={4": "model.hidden: its brackets do not match",
    "model.hidden=[4)": "model.hidden: its brackets do not match",
    "seed=range(0": "seed: its brackets do not match",
    "dataset.path=~/leaves": "dataset.path: it cannot be read",
    "optimizer.lr=foo(1)": "optimizer.lr: there is no function foo; choose one of bool, choice",
    "seed=int(abc)": "seed: int(abc) cannot be computed",
    "seed=sort(3,a)": "seed: sort(3,a) cannot be computed",
    "seed=tag(a)": "seed: tag(a) cannot be computed",
    "seed=range(a,b)": "seed: range(a,b) cannot be computed",
    "seed=choice()": "seed: choice() cannot be computed (empty choice is not legal)",
    # Groups
    "optimizer=3": f"optimizer: 3 {NO_NAME} adam, adamw, momentum, rmsprop, sgd",
    "optimizer=": f"optimizer: nothing {NO_NAME}",
    "optimizer=''": f"optimizer: '' {NO_NAME}",
    "optimizer=null": f"optimizer: null {NO_NAME}",
    "optimizer=true": f"optimizer: true {NO_NAME}",
    "optimizer=sdg": "optimizer: there is no 'sdg'; did you mean sgd?",
    "model={a:1}": f"model: {{a:1}} {NO_NAME}",
    "model=[a]": f"model: [a] {NO_NAME}",
    "model=mlp,3": f"model: mlp,3 {NO_NAME}",
    "model=mlp,mpl": "model: there is no 'mpl'; did you mean mlp?",
    "model=range(0,2)": f"model: range(0,2) {NO_NAME}",
    "model=choice(mlp,3)": f"model: choice(mlp,3) {NO_NAME}",
    "model=${optimizer}": f"model: ${{optimizer}} {NO_NAME}",
    "dataset=7": f"dataset: 7 {NO_NAME}",
    "schedule=[step]": f"schedule: [step] {NO_NAME}",
    "activation=1.5": f"activation: 1.5 {NO_NAME}",
    "init=false": f"init: false {NO_NAME}",
    "loss={}": f"loss: {{}} {NO_NAME}",
    "regularization=1": f"regularization: 1 {NO_NAME}",
    "stopping=": f"stopping: nothing {NO_NAME}",
    "trace=0": f"trace: 0 {NO_NAME}",
    "augmentation=crop": "augmentation: there is no 'crop'; did you mean crop_flip?",
    "augmentation=3": f"augmentation: 3 {NO_NAME} crop_flip, none, rotation",
    "executor=[local]": f"executor: [local] {NO_NAME}",
    "experiment=3": f"experiment: 3 {NO_NAME}",
    "experiment=quickstart,quickstart": "experiment: quickstart is given twice; give each of them once",
    "experiment=glob(x*)": "experiment: glob(x*) finds no name; see triplicate --help",
    "experiment=interval(1,2)": f"experiment: interval(1,2) {NO_NAME}",
    "experiment=quickstart,3": f"experiment: quickstart,3 {NO_NAME}",
    "--cfg job experiment=quickstart,smoke": "experiment: one is shown at a time; give it one value",
    "+experiment=quickstart": "experiment: it is there already; write experiment=quickstart",
    "++optimizer=sgd": "optimizer: it is there already; write optimizer=sgd",
    "hydra/launcher=null": "hydra/launcher: null is no name",
    "hydra/launcher=nothing": "hydra/launcher: no plug-in nothing is installed",
    "hydra/nothing=x": "hydra/nothing: a command cannot change it",
    # Sweeps
    "seed=range(0,0)": "seed: range(0,0) holds no value; give at least one",
    "seed=range(3,0)": "seed: range(3,0) holds no value",
    "seed=range(0,1,0)": "seed: range(0,1,0) cannot be counted",
    "optimizer.lr=range(0,1,nan)": "optimizer.lr: range(0,1,nan) cannot be counted",
    "seed=range(0,100000000000)": "seed: a sweep has at most 100,000 runs, and these are more",
    "seed=range(0,inf,1)": "seed: a sweep has at most 100,000 runs",
    "seed=range(0,1000) optimizer.lr=range(1,1001)": "seed: a sweep has at most 100,000 runs",
    "optimizer.lr=interval(0,1)": "optimizer.lr: an interval has no values that could be tried one by one",
    "seed=glob(*)": "seed: glob(…) finds names, and this key has none",
    "model=glob(nosuch*)": "model: glob(nosuch*) finds no name; choose from cnn, ",
    "optimizer=glob([a],exclude=a*)": "optimizer: ",
    "seed=0 seed=1": f"seed: {TWICE}",
    "seed=0 ++seed=1": f"seed: {TWICE}",
    "model=mlp model=cnn": f"model: {TWICE}",
    "optimizer.lr=0.1,0.2 optimizer.lr=0.3": f"optimizer.lr: {TWICE}",
    "seed=0,0": "seed=0: this run is given twice; give each value of a sweep once",
    "seed=0 optimizer.lr=0.1,1e-1": "seed=0, optimizer.lr=0.1: this run is given twice",
    "task=train,plan": f"task: {SHARED}",
    "name=a,b": f"name: {SHARED}",
    "data_dir=a,b": f"data_dir: {SHARED}",
    "output_dir=a,b": f"output_dir: {SHARED}",
    "resume=last,null": f"resume: {SHARED}",
    "rerun=failed,all": f"rerun: {SHARED}",
    "on_error=stop,continue": f"on_error: {SHARED}",
    "executor.workers=1,2": f"executor.workers: {SHARED}",
    "report.title=a,b": f"report.title: {SHARED}",
    "tracker=tensorboard,wandb": f"tracker: {SHARED}; write tracker=[tensorboard,wandb] for all of them together",
    "tracker=[wandb] tracker.wandb.project=a,b": f"tracker.wandb.project: {SHARED}",
    "tracker=[tensorboard,wandb],[wandb]": "tracker: [tensorboard,wandb],[wandb] is no name; choose one of mlflow, ",
    "tracker=[wandb,tensorbord]": "tracker: there is no 'tensorbord'; did you mean tensorboard?",
    "tracker=[wandb,wandb]": "tracker: wandb is given twice; give each name once",
    "tracker=null": "tracker: null is no name; choose one of mlflow, tensorboard, wandb",
    "tracker.wandb.project=a": "tracker.wandb.project: tracker wandb is not chosen; choose it, as in tracker=wandb",
    "tracker=wandb tracker.mlflow.uri=a": "tracker.mlflow.uri: tracker mlflow is not chosen",
    "tracker=wandb tracker.wandb.projekt=a": "tracker.wandb.projekt: there is no such key",
    "tracker=wandb +tracker.mine=3": "tracker.mine: ",
    "hydra/launcher=basic,joblib": "hydra/launcher: Hydra's own keys cannot be swept over",
    "hydra.mode=RUN seed=0,1": "seed: there is one run here, and several values are given",
    "--cfg job seed=0,1": "seed: there is one run here, and several values are given",
    # Keys that are there, or not
    "~seed": "seed: a key cannot be taken away",
    "~seed=0": "seed: a key cannot be taken away",
    "~optimizer": "optimizer: a key cannot be taken away",
    "~model.hidden": "model.hidden: a key cannot be taken away",
    "~hydra.launcher": "hydra.launcher: a key cannot be taken away",
    "~hydra.sweeper.params.nothing": "hydra.sweeper.params.nothing: there is no such key",
    "+seed=0": "seed: it is there already; write seed=0",
    "+optimizer.lr=3": "optimizer.lr: it is there already",
    "+optimizer.beta1=0.5": "optimizer.beta1: the chosen optimizer does not have this key",
    "+nothing=3": "nothing: there is no such key",
    "++nothing.x=3": "nothing: there is no such key",
    "optimizer.lrr=3": "optimizer.lrr: there is no such key; did you mean optimizer.lr?",
    "report.published={a:3}": "report.published: it has no such entry; add one",
    # What has no effect, or goes together with nothing
    "activation=tanh model=perceptron": "activation: model perceptron has none; leave it out",
    "activation=tanh,relu model=perceptron": "activation: model perceptron has none; leave it out",
    "activation=tanh model=resnet18": "activation: model resnet18 has none; leave it out",
    "resume=last": "resume: no sweep of the name sweep is in outputs/sweep; leave resume out",
    "resume=last output_dir=x": "resume: a folder is named by output_dir too; give one of the two",
    "resume=last name=../x": "name: '../x' has a part that begins with a dot",
    "resume=last hydra.mode=RUN": "resume: a run by itself is in no sweep",
    "hydra.mode=RUN seed=-1": "seed: -1 is out of range",
    "--run seed=-1": "seed: -1 is out of range",
    "hydra/launcher=basic optimizer.lr=0.1,0": "optimizer.lr: 0.0 is out of range",
    # Hydra's own keys
    "hydra.sweep.dir=x": f"hydra.sweep.dir: {FOLDERS}",
    "hydra.sweep.subdir=x": f"hydra.sweep.subdir: {FOLDERS}",
    "+hydra.sweep={dir:x}": f"hydra.sweep: {FOLDERS}",
    "hydra.run.dir=x": f"hydra.run.dir: {FOLDERS}",
    "hydra.job.name=x": "hydra.job.name: a sweep is called by its key name; give name=NAME",
    "hydra.job.id=x": "hydra.job.id: a command cannot change it",
    "hydra.help.template=x": "hydra.help.template: a command cannot change it",
    "hydra/help=default": "hydra/help: a command cannot change it",
    "hydra/output=default": "hydra/output: a command cannot change it",
    "hydra/env=default": "hydra/env: a command cannot change it",
    "hydra/job_logging=disabled": "hydra/job_logging: it has no effect where runs train together",
    "hydra.job_logging.root.level=DEBUG": "hydra.job_logging.root.level: it has no effect where runs train together",
    "hydra.job.env_copy=[HOME]": "hydra.job.env_copy: it has no effect where runs train together",
    "hydra.output_subdir=../x": "hydra.output_subdir: '../x' is no plain name",
    "hydra.searchpath=[pkg://antigravity]": "hydra.searchpath: it is fixed before anything is composed",
    "hydra.overrides.task=[a]": "hydra.overrides.task: a command cannot change it",
    "hydra=null": "hydra: a command cannot change it",
    "hydra.nothing=3": "hydra.nothing: a command cannot change it",
    "hydra.mode=FLY": "hydra.mode: FLY is no mode; choose one of RUN, MULTIRUN",
    "hydra.mode=RUN,MULTIRUN": "hydra.mode: Hydra's own keys cannot be swept over",
    "hydra.verbose=3": "hydra.verbose: 3 names no logger",
    "hydra.job.chdir=maybe": "hydra.job.chdir: Value 'maybe' is not a valid bool",
    "hydra.job.env_set=3": "hydra.job.env_set: ",
    "hydra.job.env_copy=[NO_SUCH_VARIABLE]": "hydra.job.env_copy: the environment has no 'NO_SUCH_VARIABLE'",
    "hydra.launcher.nothing=3": "hydra.launcher.nothing: there is no such key",
    "+hydra.launcher.nothing=3": "hydra.launcher: it cannot be made",
    "+hydra.sweeper.nothing=3": "hydra.sweeper: it cannot be made",
    "hydra.launcher=basic": "hydra.launcher._target_: None is no launcher that is installed",
    "hydra.sweeper.max_batch_size=0": "hydra.sweeper.max_batch_size: 0 is no number of jobs",
    "hydra.sweeper.max_batch_size=a": "hydra.sweeper.max_batch_size: ",
    "hydra.sweeper.params=3": "hydra.sweeper.params: ",
    "hydra.sweeper.params={seed:'range(0,0)'}": "seed: range(0,0) holds no value",
    "hydra.sweeper.rows=3": "hydra.sweeper.rows: ",
    "hydra.sweeper.rows=[3]": "hydra.sweeper.rows: ",
    "hydra.sweeper.rows=[{name:x}]": f"hydra.sweeper.rows, name: {SHARED}",
    "hydra.job_logging=3": "hydra.job_logging: ",
    "hydra.job_logging.root=3": "hydra.job_logging.root: 3 is no group of keys",
    "hydra.hydra_logging.root.level=NOTHING": "hydra.hydra_logging: it cannot be set up",
    # Code
    "+optimizer._target_=os.system": f"optimizer._target_: {CODE}",
    "+x={a:[{_target_:os.system}]}": f"x: {CODE}",
    "optimizer={_target_:os.system},sgd": f"optimizer: {CODE}",
    "+hydra.callbacks.x._target_=os.system": f"hydra.callbacks.x._target_: {CODE}",
    "hydra.launcher._target_=os.system": "hydra.launcher._target_: 'os.system' is no launcher that is installed",
    "hydra.sweeper._target_=os.system": "hydra.sweeper._target_: 'os.system' is no sweeper that is installed",
    # Flags
    "--nothing": "--nothing: there is no such flag",
    "--conf x": "--conf: there is no such flag",
    "--vers": "--vers: there is no such flag",
    "-x": "-x: there is no such flag",
    "--cfg": "--cfg: expected one argument",
    "--cfg nonsense": "--cfg: invalid choice: 'nonsense'",
    "-c=": "--cfg: invalid choice: ''",
    "-p": "--package: expected one argument",
    "-p optimizer": "--package: it has an effect only with --cfg",
    "--cfg job -p nothing": "--package: there is no 'nothing' to show",
    "--cfg job -p hydra": "--package: there is no 'hydra' to show",
    "--cfg job -p a..b": "--package: there is no 'a..b' to show",
    "--cfg job optimizer.lrr=3": "optimizer.lrr: there is no such key",
    "--resolve": "--resolve: it has an effect only with --cfg",
    "--cfg hydra --resolve": "--resolve: Hydra's own part is resolved in a job alone",
    "--multirun=3": "--multirun: ignored explicit argument '3'",
    "-q -v": "--verbose: it cannot be combined with --quiet; give one of them",
    "-q --cfg job": "--quiet: it has an effect only on sweeps; leave it out",
    "report a -q": "-q: it has no effect with report; leave it out",
    "--no-progress check a": "--no-progress: it has no effect with check; leave it out",
    "--run --multirun": "--multirun: it cannot be combined with --run",
    "--cfg job --info": "--info: it cannot be combined with --cfg",
    "--run hydra.mode=RUN": "hydra.mode: --run and --multirun set it too",
    "--info nonsense": "--info: invalid choice: 'nonsense'",
    "--info config optimizer.lrr=3": "optimizer.lrr: there is no such key",
    "--config-dir": "--config-dir: expected one argument",
    "--config-dir nothing": "--config-dir: there is no folder 'nothing'",
    "--config-dir=": "--config-dir: there is no folder ''",
    "--config-name other": "--config-name: triplicate has a configuration of its own",
    "--config-path other": "--config-path: triplicate has a configuration of its own",
    "--experimental-rerun x.pickle": "--experimental-rerun: a pickle may hold any code",
    "--shell-completion": "--shell-completion: it wants one of install=…",
    "-sc install=dos": "--shell-completion: there is no shell 'dos'",
    "-sc query=bash": "--shell-completion: query= is what the shell asks",
    "--hydra-help seed=0": "--hydra-help: it takes no overrides",
    "--parts": "--parts: no file is named",
    "--parts nothing.py": "--parts nothing.py: there is no such file",
    "--parts .": "--parts .: it is a folder",
    "--parts /etc/hostname": "--parts /etc/hostname: it is no Python file",
    "--parts ~nobody-at-all/x.py": "--parts: ~nobody-at-all/x.py: ",
    f"--parts {'a' * 400}.py": "--parts: aaa",
    # Sub-commands
    "report": "report: DIR is missing; write triplicate report DIR",
    "report a b": "report: b is too much; write triplicate report DIR",
    "report a b c": "report: b c is too much",
    "report --all": "--all: it has no effect with report; leave it out",
    "report --hepl": "--hepl: there is no such flag; did you mean --help?",
    "report --help=3": "--help: does not take a value",
    "report seed=0": "seed=0: ",
    "report --multirun": "--multirun: it has no effect with report; leave it out",
    "-m report a": "-m: it has no effect with report; leave it out",
    "--config-dir . check a": "--config-dir: it has no effect with check; leave it out",
    "check a --cfg job": "--cfg: it has no effect with check; leave it out",
    "check": "check: DIR is missing; write triplicate check DIR",
    "report nothing": "nothing: ",
    "report /etc/hostname": "/etc/hostname: ",
    "plan nonsense": "nonsense: it is neither a command nor key=value",
    "plan --nothing": "--nothing: there is no such flag",
    "plan plan": "plan: a command comes first, and once",
    "seed=0 plan": "plan: a command comes first, and once",
    "plan task=train": f"task: {TWICE}",
    "plan seed=range(0,0)": "seed: range(0,0) holds no value",
    "plan optimizer.lr=0": "optimizer.lr: 0.0 is out of range",
    "plan +hydra.callbacks.x._target_=os.system": f"hydra.callbacks.x._target_: {CODE}",
    "-m plan nonsense": "nonsense: it is neither a command nor key=value",
    "plan --hydra-help": "--hydra-help: it has no effect with plan; leave it out",
    "plan -sc install=bash": "--shell-completion: it has no effect with plan; leave it out",
    "hlep": "hlep: it is neither a command nor key=value; did you mean help?",
    "help hlep": "help: there is no 'hlep'; did you mean help?",
    "help modle": "help: there is no 'modle'; did you mean model?",
    "help model=cn": "model: there is no 'cn'; did you mean cnn?",
    "help modle=cnn": "modle: there is no 'modle'; did you mean model?",
    "help train.epoch": "train.epoch: there is no such key; did you mean train.epochs?",
    "help experiment=cv2025/cn": "experiment: there is no 'cv2025/cn'; did you mean cv2025/cnn?",
    "help xor": "help: 'xor' is a choice of several groups; write triplicate help dataset=xor or model=xor",
    "help qwertyuiop": "help: there is no 'qwertyuiop'; see triplicate help all",
    "help --config-dir nothing": "--config-dir: ",
    "help --config-dir": "--config-dir: requires an argument",
    "help model --verbose": "--verbose: it has no effect with help; leave it out",
    "samples nonsense": "nonsense: it is neither a command nor key=value",
    "samples --nothing": "--nothing: there is no such flag",
    "samples dataset=3": f"dataset: 3 {NO_NAME}",
    "reproduce": "reproduce: no study is named",
    "--all": "--all: it has an effect with reproduce alone; write triplicate reproduce --all",
    "plan --all": "--all: it has an effect with reproduce alone; write triplicate reproduce --all",
    "reproduce --every": "--every: there is no such flag",
    "reproduce nonsense": "reproduce: there is no 'nonsense'",
    "reproduce --nothing": "--nothing: there is no such flag",
    "reproduce cv2025 --cfg job": "--cfg: it has no effect with reproduce; leave it out",
    "reproduce cv2025 -r": "--run: it has no effect with reproduce; leave it out",
    "-m reproduce nonsense": "reproduce: there is no 'nonsense'",
    "reproduce cv2025 seed==3": "seed: it cannot be read",
    "reproduce cv2025 seed=0 seed=1": f"seed: {TWICE}",
    "reproduce cv2025 output_dir=": "output_dir: nothing is not a folder",
    "reproduce cv2025 experiment=quickstart": "experiment: reproduce takes names",
    "reproduce cv2025 optimizer=sdg": "optimizer: there is no 'sdg'",
}

# Values of a run. By itself it is composed once, which takes half the time.
VALUES = {
    "seed=null": "seed: null is not a whole number",
    "seed=true": "seed: true is not a whole number",
    "seed=9223372036854775808": "seed: the number has more than 64 bits",
    "seed=-9223372036854775808": "seed: the number has more than 64 bits",
    f"seed=1{'0' * 400}": "seed: the number has more than 64 bits",
    f"seed=1{'0' * 5000}": "seed: its number is too long",
    "dataset.limit=9223372036854775808": "dataset.limit: the number has more than 64 bits",
    f"optimizer.lr=1{'0' * 400}": "optimizer.lr: the number is too large",
    "optimizer.lr=1e400": "optimizer.lr: inf is not finite",
    "optimizer.lr=-inf": "optimizer.lr: -inf is not finite",
    "optimizer.lr=[1]": "optimizer.lr: [1] is not a number",
    "optimizer.lr={a:1}": "optimizer.lr: {'a': 1} is not a number",
    "train.epochs=1000001": "train.epochs: 1000001 is out of range; give a whole number at least 1 and at most",
    "train.shuffle=1": "train.shuffle: 1 is not true or false",
    "train.shuffle=yes": "train.shuffle: 'yes' is not true or false",
    "train.shuffle=null": "train.shuffle: null is not true or false",
    "train.autocast=float16": "train.autocast: 'float16' is not one of none, bfloat16",
    "train.autocast=bfloat16 train.dtype=float64": "train.autocast: it is for weights in float32",
    "train.autocast=bfloat16 model=cnn model.backend=numpy": "train.autocast: numpy computes all in train.dtype",
    "train.tf32=true device=cpu": "train.tf32: a CPU has no TensorFloat-32; leave it out, or give device=cuda",
    "train.tf32=true train.dtype=float64 device=cuda": "train.tf32: it is for weights in float32",
    "train.dtype=float16": "train.dtype: 'float16' is not one of float32, float64",
    "train=null": "train: null is not a group of keys",
    "train=3": "train: 3 is not a group of keys",
    "trace.first=-1": "trace.first: -1 is out of range",
    "trace.only=3": "trace.only: 3 is not a list",
    "report.measures=accuracy": "report.measures: 'accuracy' is not a list",
    "report.published=3": "report.published: 3 is not a mapping",
    "report.published_runs=0": "report.published_runs: 0 is out of range",
    "report.compare=some": "report.compare: 'some' is not one of best, all, none",
    "+report.not_comparable.x=why": "report.not_comparable: x is no row and no measure of report.published",
    "+report.explained={row:{seconds:why}}": "report.explained.row: nothing is published of seconds",
    "task=null": "task: null is not a name; choose one of train, plan, samples",
    "task=fly": "task: 'fly' is not one of train, plan, samples",
    "on_error=": "on_error: '' is not one of continue, stop",
    "rerun=some": "rerun: 'some' is not one of failed, all",
    "resume=first": "resume: 'first' is not last",
    "executor.workers=0": "executor.workers: 0 is out of range",
    "augmentation.padding=4": "augmentation.padding: the chosen augmentation does not have this key",
    "augmentation=crop_flip augmentation.padding=-1": "augmentation.padding: -1 is out of range",
    "augmentation=crop_flip augmentation.padding=0 augmentation.flip=false": "augmentation.padding: without padding or",
    "augmentation=rotation augmentation.degrees=0": "augmentation.degrees: 0.0 is out of range; give a number above 0",
    "loss.label_smoothing=1": "loss.label_smoothing: 1.0 is out of range; give a number at least 0 and below 1",
    "loss=perceptron loss.label_smoothing=0.1": "loss.label_smoothing: the chosen loss does not have this key",
    "optimizer.clip_norm=0": "optimizer.clip_norm: 0.0 is out of range; give a number above 0",
    "schedule.warmup=10": "schedule.warmup: the warm-up takes all 10 epochs; give fewer, or more train.epochs",
    "schedule.warmup=0.5": "schedule.warmup: 0.5 is not a whole number",
    "schedule.warmup_from=0": "schedule.warmup_from: 0.0 is out of range",
    "stopping=patience": "stopping.measure: it goes by validation_loss, and no images are set apart; set dataset.valid",
    "stopping=patience stopping.measure=test_acuracy": "stopping.measure: there is no 'test_acuracy'; did you mean",
    "stopping=patience stopping.measure=seconds": "stopping.measure: seconds is no measure of one epoch",
    "stopping=patience stopping.measure=max_test_loss": "stopping.measure: max_test_loss is no measure of one epoch",
    "stopping=patience stopping.measure=evaluated_train_loss": "stopping.measure: evaluated_train_loss is not measured",
    "stopping.keep=best": "stopping.keep: it goes by validation_loss, and no images are set apart",
    "data_dir=": "data_dir: nothing is not a folder",
    "data_dir=true": "data_dir: true is not a folder",
    "data_dir='~nobody-at-all/x'": "data_dir: there is no home folder for ~nobody-at-all/x",
    "output_dir=": "output_dir: nothing is not a folder",
    "output_dir=null": "output_dir: null is not a folder",
    "output_dir=[a]": "output_dir: ['a'] is not a folder",
    "name=": "name: '' has an empty part",
    "name=/tmp/x": "name: '/tmp/x' has an empty part",
    "name=a//b": "name: 'a//b' has an empty part",
    "name=a/": "name: 'a/' has an empty part",
    "name=.": "name: '.' has a part that begins with a dot",
    "name=..": "name: '..' has a part that begins with a dot",
    "name=../../x": "name: '../../x' has a part that begins with a dot",
    "name=a/.b": "name: 'a/.b' has a part that begins with a dot",
    f"name={'a' * 201}": "name: it is longer than 200 bytes",
    "name=null": "name: null is not a name",
    "name=[a]": "name: ['a'] is not a name",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in a folder with a sweep in it, which must stay as it is."""
    kept = tmp_path / "outputs" / "sweep" / "2026-01-01" / "runs" / "seed=0"
    kept.mkdir(parents=True)
    (kept / "metrics.csv").write_text("epoch\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMP_LINE", raising=False)
    return tmp_path


def listing(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def check(arguments: list[str], expected: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = listing(elsewhere)
    assert main(arguments) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {expected}")
    assert printed.err.count("\n") == 1
    assert printed.err.endswith("\n")
    assert printed.err.count("; ") >= 1
    assert listing(elsewhere) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_is_one_line(command: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check(command.split() or [""], COMMANDS[command], elsewhere, capfd)


@pytest.mark.parametrize("values", VALUES)
def test_so_is_a_wrong_value(values: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check(["--run", *values.split()], VALUES[values], elsewhere, capfd)


# What no shell splits so, or cannot be shown as the name of a test.
WORDS = {
    " ": "' ': it is neither a command nor key=value",
    "a b=3": "a b: it cannot be read",
    "seed=0\n": "seed: it has a control character",
    "name=a\x00b": "name: it has a control character",
    "name=\x1b[31m": "name: it has a control character",
    "name=a\tb": "name: it has a control character",
    "name=a\u2028b": "name: it has a control character",
    "a\nb": "a\\nb: it has a control character",
    "name=\udcff": "name: its bytes are no text in UTF-8",
    "\udcff": "\\udcff: its bytes are no text in UTF-8",
    f"report.title={'a' * 20_000}": "report.title: it is 20,013 characters long, and 10,000 are read",
    f"model.hidden={'[' * 900}{']' * 900}": "model.hidden: its brackets are nested too deeply",
}


@pytest.mark.parametrize("word", WORDS, ids=[f"word {number}" for number in range(len(WORDS))])
def test_so_is_a_word_that_is_no_text(word: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check([word], WORDS[word], elsewhere, capfd)


# What only a job, or the plan of all of them, shows: the launcher tells of it.
LATE = {
    "optimizer.lr=0.1,0": "optimizer.lr: 0.0 is out of range",
    "activation=tanh,relu model=mlp,perceptron": "activation: model perceptron has none",
    "hydra.job.chdir=true": "hydra.job.chdir: runs train together in one process",
    f"output_dir={'a' * 300}": "aaa",
}


@pytest.mark.parametrize("command", LATE)
def test_so_is_what_the_launcher_finds(command: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check(command.split(), LATE[command], elsewhere, capfd)


SWEEPER = "hydra: {sweeper: {%s}}"

# A preset in a folder of the user → how the answer begins.
PRESETS = {
    "name: [": "{folder}/experiment/mine.yaml: line 3: ",
    "- a": "configuration: In 'experiment/mine': Cannot merge DictConfig with ListConfig",
    "defaults: 3": "configuration: it cannot be composed",
    "defaults: [mine]": "defaults: a file names itself",
    "defaults: [{override /model: nothing}]": "model: there is no 'nothing'",
    "defaults: [{override /modell: mlp}]": "modell: there is no such key; did you mean model?",
    "optimizer: {lrr: 3}": "optimizer.lrr: there is no such key; did you mean optimizer.lr?",
    "optimizer: {lr: abc}": "optimizer.lr: 'abc' is not a number",
    "optimizer: {_target_: os.system}": f"optimizer._target_: {CODE}",
    "optimzer: {lr: 3}": "optimzer: there is no such key",
    "name: ../x": "name: '../x' has a part that begins with a dot",
    "name: ${nothing}": "name: Interpolation key 'nothing' not found",
    "name: ${oc.env:NO_SUCH_VARIABLE}": "name: KeyError raised while resolving interpolation",
    "output_dir: null": "output_dir: null is not a folder",
    "hydra: {mode: FLY}": "hydra.mode: In 'experiment/mine': Invalid value 'FLY'",
    "hydra: {run: {dir: /tmp/x}}": f"hydra.run.dir: {FOLDERS}",
    "hydra: {sweep: {dir: /tmp/x}}": f"hydra.sweep.dir: {FOLDERS}",
    "hydra: {sweep: {subdir: ../x}}": f"hydra.sweep.subdir: {FOLDERS}",
    "hydra: {job: {name: x}}": "hydra.job.name: a sweep is called by its key name; write name: NAME",
    "hydra: {output_subdir: ../../x}": "hydra.output_subdir: '../../x' is no plain name",
    "hydra: {searchpath: [pkg://antigravity]}": "configuration: In 'experiment/mine': Overriding hydra.searchpath",
    SWEEPER % "params: {name: 'a,b'}": f"name: {SHARED}",
    SWEEPER % "params: {optimizer.lr: 'range(0,0)'}": "optimizer.lr: range(0,0) holds no value",
    SWEEPER % "params: {optimizer.lr: ''}": "optimizer.lr: nothing is not a number",
    SWEEPER % "params: {optimizer.lr: null}": "hydra.sweeper.params.optimizer.lr: ",
    SWEEPER % "params: {optimizer.lr: '0.1,'}": "optimizer.lr: it cannot be read",
    SWEEPER % "params: {model: 'glob(nothing*)'}": "model: glob(nothing*) finds no name",
    SWEEPER % "params: {model: 'mlp,3'}": f"model: mlp,3 {NO_NAME}",
    SWEEPER % "params: {hydra.verbose: 'true,false'}": f"hydra.verbose: {SHARED}",
    SWEEPER % "rows: 3": "hydra.sweeper.rows: ",
    SWEEPER % "rows: [3]": "configuration: In 'experiment/mine': Cannot assign int to Dict",
    SWEEPER % "rows: [{'a b': 3}]": "hydra.sweeper.rows: 'a b' is no key",
    SWEEPER % "rows: [{report.title: x}]": f"hydra.sweeper.rows, report.title: {SHARED}",
    SWEEPER % "rows: [{optimizer.lrr: 3}]": "optimizer.lrr: there is no such key",
    SWEEPER % "rows: [{optimizer.lr: null}]": "optimizer.lr: null is not a number",
    SWEEPER % "rows: [{train.shuffle: 'true'}]": "train.shuffle: 'true' is not true or false",
    SWEEPER % "rows: [{model: nothing}]": "model: there is no 'nothing'",
}


@pytest.mark.parametrize("preset", PRESETS)
def test_so_is_a_preset_of_ones_own(
    preset: str, elsewhere: Path, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("mine")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{preset}\n")
    expected = PRESETS[preset].replace("{folder}", str(folder))
    check(["--config-dir", str(folder), "experiment=mine"], expected, elsewhere, capfd)
