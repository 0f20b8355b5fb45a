"""Tiny language models with real tokenizers, made in a moment: the same format as large ones, random weights."""

SENTENCES = [
    "A young farmer learns that the stars are nearer than he thought.",
    "Two detectives follow a trail of letters through a rainy city.",
    "The crew of a submarine hears music from the bottom of the sea.",
    "An old cook teaches a rival's daughter the recipe that made him famous.",
    "Robots inherit the earth and wonder who the statues show.",
    "A wedding, a storm, and a dog that knows too much.",
    "She sings at night, he writes at dawn; they share one piano.",
    "War ends, and a soldier walks home across a changed country.",
]
HIDDEN = 16
END = "<|end|>"


def save_bert(folder, *, seed=0, **config):
    """A two-layer BERT with a WordPiece vocabulary that was trained on SENTENCES."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertConfig, BertModel, BertTokenizer

    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - a word, no password
    trained.normalizer = normalizers.BertNormalizer()
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # the trainer would number letters inside words in an order that changes from run to run, and with them the weights
    # that words get: the same seed would be another model every time
    inner = sorted({f"##{letter}" for text in SENTENCES for word in text.lower().split() for letter in word[1:]})
    options = {"vocab_size": 300, "special_tokens": [*special, *inner]}
    trained.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(**options))
    BertTokenizer(vocab=trained.get_vocab(), model_max_length=64).save_pretrained(folder)
    sizes = {"hidden_size": HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    sizes |= {"vocab_size": trained.get_vocab_size(), "max_position_embeddings": 64, "initializer_range": 0.5} | config
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(BertConfig(**sizes)).save_pretrained(folder)
    return folder


def save_llama(folder, *, seed=0):
    """A two-layer decoder-only model with a byte-level BPE tokenizer and, as is common, no padding token."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[END], initial_alphabet=alphabet)
    trained.train_from_iterator(SENTENCES, trainer)
    PreTrainedTokenizerFast(tokenizer_object=trained, eos_token=END).save_pretrained(folder)
    config = LlamaConfig(
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=trained.get_vocab_size(),
        max_position_embeddings=128,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)  # with a head that encoding has no use for
    return folder


def change_weights(folder, factor=1.5):
    """Give a saved model other weights in the same files, as training would."""
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = {name: tensor * factor for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
